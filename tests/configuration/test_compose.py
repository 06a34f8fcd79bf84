import copy
import re
from pathlib import Path

import pytest

from hydra_plugins.sermm_experiments import papers
from sermm.configuration import places
from sermm.configuration.compose import (
    compose,
    conf_dir,
    first_of_sweep,
    read_yaml,
)
from sermm.configuration.identity import class_name, identity, run_key, settings, system_key
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError

DEMO = ["data=demo", "encoder/speech=tiny", "encoder/text=tiny"]


def plain(*overrides):
    return RunConfig.of([*DEMO, *overrides])


BASE = plain()


@pytest.mark.parametrize(
    "override",
    [
        "study=other",
        "runs_dir=/elsewhere",
        "cache_dir=/elsewhere",
        "logger=wandb",
        "trainer.num_workers=2",
        "trainer.accelerator=cpu",
        "model.notes=[remember]",
    ],
)
def test_what_cannot_change_the_result_does_not_change_the_key(override):
    assert run_key(plain(override)) == run_key(BASE)


@pytest.mark.parametrize(
    "override",
    [
        "fold=2",
        "seed=1",
        "model=speech_only",
        "model.system.branch.width=64",
        "model.learning.lr=0.01",
        "protocol=loso4_rand10",
        "encoder.text.width=16",
        "features=frozen",
        "trainer.max_epochs=3",
        "trainer.batch_size=4",
        "trainer.max_seconds=3.0",
        "trainer.batching=random",
        "trainer.test_epoch=last",
        "select_on_test=true",
        "withhold_test=true",
    ],
)
def test_what_can_change_the_result_changes_the_key(override):
    assert run_key(plain(override)) != run_key(BASE)


def test_an_encoder_that_the_model_does_not_use_is_no_part_of_the_run():
    alone = run_key(plain("model=speech_only"))
    assert alone == run_key(plain("model=speech_only", "encoder.text.width=16"))


def test_one_word_and_the_same_word_twice_normalise_alike():
    cached = ["features=cached", "encoder/speech=hf", "encoder/text=hf"]
    word = run_key(plain(*cached, "features.normalise=global"))
    twice = run_key(plain(*cached, "features.normalise={speech: global, text: global}"))
    alone = run_key(plain(*cached, "features.normalise={speech: global}"))
    said = run_key(plain(*cached, "features.normalise={speech: global, text: none}"))
    assert word == twice
    assert alone == said != word


def test_a_setting_at_its_value_of_before_is_no_part_of_a_key():
    def with_protocol(**changes):
        one = {k: v for k, v in BASE.plain["protocol"].items() if k != "absent_classes"}
        return RunConfig.read({**BASE.plain, "protocol": {**one, **changes}})

    assert run_key(with_protocol()) == run_key(BASE)
    assert run_key(with_protocol(absent_classes="allow")) != run_key(BASE)


def test_a_run_that_does_not_withhold_its_test_part_has_the_key_of_before():
    before = {key: value for key, value in BASE.plain.items() if key != "withhold_test"}
    assert run_key(RunConfig.read(before)) == run_key(BASE) == run_key(plain("withhold_test=false"))


def test_no_epoch_is_chosen_on_a_test_part_that_is_withheld():
    with pytest.raises(InputError, match="select_on_test=true chooses the epoch on the test part"):
        plain("search=optuna", "select_on_test=true")


def rule_of(*words):
    return plain(*words).plain["protocol"]["validation_rule"]


def test_rules_are_chosen_by_name_with_their_own_keys():
    share = {"_target_": "sermm.protocols.validation.RandomShare", "share": 0.3}
    chosen = ["protocol/validation_rule=random_share", "protocol.validation_rule.share=0.3"]
    for protocol in ("loso4", "loso4_noval", "loso4_noexc", "session2_fixed", "random6_leaky"):
        assert rule_of(f"protocol={protocol}", *chosen) == share
        assert rule_of(f"protocol={protocol}", "protocol/validation_rule=none") is None
        given = "protocol.validation_rule={_target_: sermm.protocols.validation.NextFold}"
        assert list(rule_of(f"protocol={protocol}", given)) == ["_target_"]


def test_every_rule_is_had_by_its_name():
    rules = read_yaml(conf_dir() / "protocol" / "_rules.yaml")
    assert set(rules) == {"fold_rule", "validation_rule"}
    for kind, known in rules.items():
        for name, rule in known.items():
            words = [f"protocol/{kind}={name}"]
            assert RunConfig.of([*DEMO, *words]).plain["protocol"][kind] == rule


def test_devices_and_accumulation_count_only_as_the_effective_batch():
    two = run_key(plain("trainer.devices=2", "trainer.batch_size=8"))
    assert two == run_key(plain("trainer.accumulate=2", "trainer.batch_size=8"))
    assert two == run_key(BASE)
    assert two != run_key(plain("trainer.batch_size=8"))


def test_identity_leaves_the_configuration_as_it_was():
    before = copy.deepcopy(BASE.plain)
    identity(BASE)
    assert before == BASE.plain


# As every model learned when the keys below were noted.
LEARNED = ["model.learning.schedule=constant", "model.learning.warmup=0.0"]


# A key may change only with what it says: moving or renaming modules must leave these as they are.
# After a change of the configuration itself, say so in CHANGELOG and take the new ones.
@pytest.mark.parametrize(
    ("key", "overrides"),
    [
        ("c079f4cdb2744a21", []),
        ("c5f655b2d803b81f", ["model=deberta_bilstm", "encoder/speech=mfcc", "protocol=groups5"]),
        (
            "f3e083aa47dd85b8",
            [
                *("experiment=zhao2022/table1_smoke", "model.streams=[phone]", "features=cached"),
                # As the experiment was when the key was noted.
                *("features.normalise=global", "trainer.max_seconds=15.0"),
            ],
        ),
    ],
)
def test_the_keys_of_three_configurations_outlive_a_move(key, overrides):
    assert run_key(plain("cache_dir=/tmp/cache", *LEARNED, *overrides)) == key


# Of encoders and systems that have got arguments since, which change nothing as they are given.
@pytest.mark.parametrize(
    ("key", "overrides"),
    [
        ("f9425e4654773756", ["model=single_gate"]),
        ("4796c93331aba6ce", ["model=cmgi"]),
        ("568c25d383c9084d", ["model=cmgi_released"]),
        ("14d34be4a754006b", ["model=caf"]),
        ("7e8a60db14a09a52", ["model=late_fusion", "model.streams=[text,frame,phone]"]),
    ],
)
def test_an_argument_at_its_value_of_before_is_no_part_of_a_key(key, overrides):
    words = ["data=demo", "cache_dir=/tmp/cache", *LEARNED, *overrides]
    assert run_key(RunConfig.of(words)) == key


@pytest.mark.parametrize(
    "override",
    [
        "encoder.speech.layerdrop=0.1",
        "encoder.speech.layerdrop=checkpoint",
        "encoder.text.pool=last",
        "model.system.norm=false",
    ],
)
def test_an_argument_that_changes_something_is_a_part_of_it(override):
    words = ["data=demo", "model=single_gate"]
    assert run_key(RunConfig.of([*words, override])) != run_key(RunConfig.of(words))


def test_an_adapter_is_a_part_of_a_key_however_it_is_said():
    def key(*words):
        speech = ["model=speech_only", "encoder/speech=hf", "features=finetune"]
        return run_key(RunConfig.of(["data=demo", *speech, *words]))

    plain_word = key("encoder.speech.adapter=lora")
    assert plain_word == key("encoder.speech.adapter={rank: 8}")
    assert plain_word == key("encoder.speech.adapter={kind: lora, alpha: 16, dropout: 0.1}")
    assert plain_word != key("encoder.speech.adapter={rank: 4}")
    assert plain_word != key() == key("encoder.speech.adapter=null")
    assert plain_word != key("encoder.speech.adapter=lora", "model.learning.adapter_lr=0.001")


def moved(config, places):
    """The configuration with every class of sermm in another module."""
    if isinstance(config, dict):
        changed = {name: moved(value, places) for name, value in config.items()}
        if str(changed.get("_target_")).startswith("sermm."):
            places.append(changed["_target_"])
            changed["_target_"] = "sermm.elsewhere." + changed["_target_"].rpartition(".")[2]
        return changed
    return [moved(value, places) for value in config] if isinstance(config, list) else config


def test_where_a_class_lies_is_no_part_of_a_key():
    config, places = plain("experiment=zhao2022/table1_smoke"), []
    there = RunConfig.read(moved(config.plain, places))
    assert len(places) > 5
    assert run_key(there) == run_key(config)
    assert system_key(there) == system_key(config)


def test_another_class_is_another_run():
    for target in ("sermm.models.late_fusion.Other", "mine.LateFusion", "yours.LateFusion"):
        other = BASE.changed({"model.system._target_": target})
        assert run_key(other) != run_key(BASE)
    assert class_name("torch.optim.AdamW") == class_name("torch.optim.adamw.AdamW")
    assert class_name("torch.optim.AdamW") == "torch.AdamW"


def test_where_the_cache_lies_is_no_part_of_a_key():
    demo = ["encoder/speech=demo", "encoder/text=demo", "features=cached"]
    one, other = plain(*demo, "cache_dir=/here"), plain(*demo, "cache_dir=/there/it/is")
    assert run_key(one) == run_key(other)
    assert run_key(one) != run_key(plain(*demo, "encoder.speech.root=/elsewhere"))


def test_no_two_classes_of_the_configuration_share_a_name_in_keys():
    found = re.compile(r"_target_: ([\w.]+)")
    targets = {
        target
        for file in conf_dir().rglob("*.yaml")
        for target in found.findall(file.read_text(encoding="utf-8"))
    }
    assert len(targets) > 30
    assert len({class_name(target) for target in targets}) == len(targets)


def test_folds_and_seeds_of_a_system_share_its_key():
    assert system_key(plain("fold=2", "seed=3")) == system_key(BASE)
    assert system_key(plain("model.system.branch.width=64")) != system_key(BASE)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["modle=late_fusion"], "modle"),
        (
            ["model.system.branch.widht=3"],
            "branch.widht: there is no such key; close to it: width ",
        ),
        (
            ["trainer.max_epoch=1"],
            "trainer.max_epoch: there is no such key; close to it: max_epochs",
        ),
        (["data.batching=random"], "data.batching: there is no such key; there is trainer.batchi"),
        (["callbacks=[1]"], "callbacks: there is no such key; known are align, augment"),
        (["model=no_such"], "no_such"),
        (["trainer.devices=0"], "trainer.devices"),
        (["+model.stpe=1"], "model.stpe: there is no such key; close to it: step"),
        (["+model.papers.x=1"], r"model\.papers\.x=1"),
        (["cache_dir="], "cache_dir=: expected a folder"),
    ],
)
def test_a_misspelt_key_or_value_is_named(overrides, says):
    with pytest.raises(InputError, match=says):
        RunConfig.of([*overrides, "model=deberta_bilstm"] if "stpe" in says else overrides)


def test_a_model_without_its_encoder_says_which_key_is_missing():
    with pytest.raises(InputError, match=r"encoder\.text.*encoder/text"):
        RunConfig.of(["~encoder/text"])


def test_every_sweep_is_replaced_by_its_first_value():
    assert first_of_sweep(["model=late_fusion,single_gate", "fold=range(2,6)", "seed=3"]) == [
        "model=late_fusion",
        "fold=2",
        "seed=3",
    ]
    with pytest.raises(InputError, match="fold"):
        first_of_sweep(["fold=range(2"])


def test_settings_are_what_distinguishes_rows_for_people():
    typed = [
        "model=late_fusion",
        "fold=1",
        "+model.system.branch.width=64",
        "study=x",
        "hydra.mode=RUN",
    ]
    assert settings(typed) == {"model.system.branch.width": "64"}


def test_every_file_of_every_group_composes():
    for group in ("data", "protocol", "model", "encoder/speech", "encoder/text", "features"):
        for file in sorted((conf_dir() / group).glob("[!_]*.yaml")):
            assert compose("train", [f"{group}={file.stem}"])
    for group in ("trainer", "logger", "experiment"):
        for file in sorted((conf_dir() / group).glob("[!_]*.yaml")):
            assert compose("train", [f"{group}={file.stem}"])


def test_every_experiment_of_a_paper_composes():
    names = [name for name, _ in papers.experiments() if "/_" not in name]
    assert {"bian2024/comparison", "li2025/table4_smoke", "zhao2022/table1"} < set(names)
    for name in names:
        assert compose("train", [f"experiment={name}"]).study.startswith(name.partition("/")[0])


def test_settings_without_hydras_escapes():
    given = ["text.source=asr\\:sphinx", "fold=1", "model.learning.lr=0.1"]
    assert settings(given) == {"text.source": "asr:sphinx", "model.learning.lr": "0.1"}


CORPUS_COMMANDS = ["align", "data", "evaluate", "extract", "train", "transcribe"]


@pytest.mark.parametrize("command", CORPUS_COMMANDS)
def test_the_cache_needs_no_home_where_its_place_is_said(command, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("SERMM_CACHE", "/big")
    assert compose(command, []).cache_dir == "/big"
    assert places.cache_dir() == Path("/big")


def test_all_commands_keep_what_they_compute_in_the_same_place(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("SERMM_CACHE", raising=False)
    found = {compose(command, []).cache_dir for command in CORPUS_COMMANDS}
    assert found == {str(places.cache_dir())} == {"/home/me/.cache/sermm"}
    monkeypatch.delenv("HOME")
    assert compose("train", []).cache_dir == "./.cache/sermm"


def test_what_lies_below_a_key_that_is_no_setting_is_none_either():
    words = ["logger=wandb", "logger.project=p", "+combine.name=x", "trainer.accelerator=cpu"]
    assert settings([*words, "model.system.dropout=0.1", "fold=2", "trainer.max_epochs=2"]) == {
        "model.system.dropout": "0.1",
        "trainer.max_epochs": "2",
    }
