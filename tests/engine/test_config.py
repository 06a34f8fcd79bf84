import copy

import pytest

from sermm.core.errors import InputError
from sermm.engine.config import (
    compose,
    conf_dir,
    first_of_sweep,
    identity,
    resolved,
    run_key,
    settings,
    system_key,
)

DEMO = ["data=demo", "encoder/speech=tiny", "encoder/text=tiny"]


def plain(*overrides):
    return resolved(compose("train", [*DEMO, *overrides]))


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
        "select_on_test=true",
    ],
)
def test_what_can_change_the_result_changes_the_key(override):
    assert run_key(plain(override)) != run_key(BASE)


def test_an_encoder_that_the_model_does_not_use_is_no_part_of_the_run():
    alone = run_key(plain("model=speech_only"))
    assert alone == run_key(plain("model=speech_only", "encoder.text.width=16"))


def test_devices_and_accumulation_count_only_as_the_effective_batch():
    two = run_key(plain("trainer.devices=2", "trainer.batch_size=8"))
    assert two == run_key(plain("trainer.accumulate=2", "trainer.batch_size=8"))
    assert two == run_key(BASE)
    assert two != run_key(plain("trainer.batch_size=8"))


def test_identity_leaves_the_configuration_as_it_was():
    before = copy.deepcopy(BASE)
    identity(BASE)
    assert before == BASE


def test_folds_and_seeds_of_a_system_share_its_key():
    assert system_key(plain("fold=2", "seed=3")) == system_key(BASE)
    assert system_key(plain("model.system.branch.width=64")) != system_key(BASE)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["modle=late_fusion"], "modle"),
        (["model.system.branch.widht=3"], "widht"),
        (["model=no_such"], "no_such"),
        (["trainer.devices=0"], "trainer.devices"),
    ],
)
def test_a_misspelt_key_or_value_is_named(overrides, says):
    with pytest.raises(InputError, match=says):
        run_key(resolved(compose("train", overrides)))


def test_a_model_without_its_encoder_says_which_key_is_missing():
    with pytest.raises(InputError, match=r"encoder\.text.*encoder/text"):
        resolved(compose("train", ["~encoder/text"]))


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
        for file in sorted((conf_dir() / group).rglob("[!_]*.yaml")):
            name = file.relative_to(conf_dir() / group).with_suffix("")
            assert compose("train", [f"{group}={name}"])


def test_settings_without_hydras_escapes():
    given = ["text.source=asr\\:sphinx", "fold=1", "model.learning.lr=0.1"]
    assert settings(given) == {"text.source": "asr:sphinx", "model.learning.lr": "0.1"}
