"""The experiments of Bian 2024 are what they say: no setting changes without a name."""

import re

import pytest

from sermm.configuration.compose import conf_dir, with_hydra
from sermm.configuration.identity import run_key
from sermm.configuration.verbs import RunConfig
from sermm.engine.record import row_settings

# What each rung changes of the one before, with all that lies below these keys.
LADDER = {
    "regularised_dropout": {"study", "model.system.dropout"},
    "regularised_weight_decay": {
        "model.learning.optimizer._target_",
        "model.learning.weight_decay",
    },
    "regularised_early_stopping": {"trainer.patience", "trainer.monitor", "trainer.test_epoch"},
    "regularised_augmentation": {
        f"augment.{k}" for k in ("speed", "pitch", "noise", "gain", "mask")
    },
    "regularised": {"protocol"},
}
MODELS = ("single_gate", "cmgi_released")


def of(name, model, *more):
    return RunConfig.of([f"experiment=bian2024/{name}", f"model={model}", *more])


def swept(name):
    return with_hydra("train", [f"experiment=bian2024/{name}"])[1].sweeper.params


def flat(config, path=()):
    if not isinstance(config, dict) or not config:
        return {path: config}
    return {k: v for key, one in config.items() for k, v in flat(one, (*path, key)).items()}


def changed(one, other):
    """The keys at which two configurations differ."""
    a, b = flat(one), flat(other)
    absent = object()
    return {".".join(k) for k in {*a, *b} if a.get(k, absent) != b.get(k, absent)}


@pytest.mark.parametrize("model", MODELS)
def test_each_rung_adds_what_it_says_and_nothing_else(model):
    before = of("replication", model).plain
    for name, named in LADDER.items():
        rung = of(name, model).plain
        found = changed(before, rung) - {"step"}
        assert {
            key for key in found if not any(f"{key}.".startswith(f"{n}.") for n in named)
        } == set()
        for key in named:
            assert any(f"{one}.".startswith(f"{key}.") for one in found), (name, key)
        before = rung
    assert before["protocol"]["name"] == "loso4"


def test_a_rung_is_a_row_of_its_own_and_its_name_no_part_of_its_key():
    names = [row_settings(of(name, "single_gate"), {})["step"] for name in LADDER]
    assert names == [
        "dropout",
        "weight_decay",
        "early_stopping",
        "augmentation",
        "cross_validation",
    ]
    assert row_settings(of("replication", "single_gate"), {}) == {}
    rung = of("regularised_dropout", "single_gate")
    plain = {key: value for key, value in rung.plain.items() if key != "step"}
    assert run_key(RunConfig.read(plain)) == run_key(rung)


@pytest.mark.parametrize("name", ["replication", *LADDER])
def test_the_systems_and_folds_of_a_rung(name):
    params = swept(name)
    assert params.model == ",".join(MODELS)
    assert params.fold == ("range(1,6)" if name == "regularised" else "1")


def test_the_replication_is_the_published_loop():
    plain = of("replication", "single_gate").plain
    trainer, system = plain["trainer"], plain["model"]["system"]
    assert {key: trainer[key] for key in ("precision", "batching", "test_epoch", "batch_size")} == {
        "precision": "32-true",
        "batching": "random",
        "test_epoch": "last",
        "batch_size": 2,
    }
    assert (trainer["max_epochs"], trainer["patience"], trainer["clip_norm"]) == (100, None, None)
    assert (system["norm"], system["literal"], system["dropout"]) == (False, True, 0.0)
    speech = system["speech"]
    assert (speech["spec_augment"], speech["layerdrop"]) == (True, "checkpoint")
    assert (speech["trainable"], speech["freeze_front_end"]) == ("all", False)


def test_its_header_says_so():
    text = (conf_dir() / "experiment" / "_bian2024.yaml").read_text(encoding="utf-8")
    header = re.sub(r"\s*\n# ?", " ", text[: text.index("\nreplication:")])
    for fact in (
        "SpecAugment (mask_time_prob 0.05",
        "LayerDrop 0.1",
        "float32",
        "without layer normalisation",
        "Pairs are random",
        "Tested is the last one (100)",
        "trainer.max_epochs=11",
    ):
        assert fact in header, fact


def test_the_comparison_has_each_system_in_the_papers_setting():
    large, base = "facebook/hubert-large-ls960-ft", "facebook/hubert-base-ls960"
    for model, speech in (
        ("cmgi", large),
        ("caf", base),
        ("caf_text", large),
        ("single_gate", large),
    ):
        config = of("comparison", model)
        assert config.plain["encoder"]["speech"]["id"] == speech
        assert row_settings(config, {}) == {}
        system = config.plain["model"]["system"]
        assert system.get("asr_loss") is None
        assert (system.get("speech") or system["streams"]["speech"])["id"] == speech
    assert swept("comparison").model == "cmgi,caf,caf_text,single_gate"
    assert RunConfig.of(["model=cmgi"]).plain["model"]["system"]["asr_loss"] == 0.1
    # What the experiment chooses from is no part of a key.
    plain = {k: v for k, v in of("comparison", "caf").plain.items() if k != "by_model"}
    assert run_key(RunConfig.read(plain)) == run_key(of("comparison", "caf"))
