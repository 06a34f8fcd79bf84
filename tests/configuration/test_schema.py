"""What the configuration's records refuse, and in which words."""

from pathlib import Path

import pytest

from sermm.configuration.component import Component
from sermm.configuration.groups import CombineConfig
from sermm.configuration.slurm import SubmitConfig, in_our_words
from sermm.configuration.verbs import (
    AlignVerbConfig,
    DataConfig,
    EvaluateConfig,
    ExtractConfig,
    RunConfig,
    TranscribeConfig,
    levels_of,
)
from sermm.core.errors import InputError

DEMO = ["data=demo", "encoder/speech=tiny", "encoder/text=tiny"]
GOOD = {"name": "both", "parts": ["coattention", "late_fusion"]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["+trainer.max_epoch=1"], "trainer.max_epoch: there is no such key; close to it: max_epo"),
        (["+trainer.balanced=true"], "trainer.balanced: there is no such key; known are accelera"),
        (["+callbacks=[1]"], "callbacks: there is no such key; known are align, augment"),
        (["+augment.echo={p: 1}"], "augment.echo: there is no such key"),
        (["+augment.mask={p: 1, share: [0, 0.1], time: 1}"], "augment.mask.time: there is no such"),
        (["trainer.max_epochs=-1"], "trainer.max_epochs=-1: expected a number of at least 1"),
        (["trainer.patience=foo"], "trainer.patience=foo: expected a whole number"),
        (["trainer.precision=half"], "trainer.precision=half: expected auto, 32-true, bf16"),
        (["trainer.monitor=f1"], "trainer.monitor=f1: expected headline, loss, ua, wa or f1_macro"),
        (["fold=a"], "fold=a: expected a whole number"),
        (["fold=true"], "fold=True: expected a whole number"),
        (["fold=0"], "fold=0: expected a number of at least 1"),
        (["seed=-1"], "seed=-1: expected a number of at least 0"),
        (["model.learning.lr=abc"], "model.learning.lr=abc: expected a number"),
        (["model.learning.lr=0"], "model.learning.lr=0: expected a number above 0"),
        (["model.learning.schedule=step"], "schedule=step: expected constant, linear or cos"),
        (["features.trainable=top"], "features.trainable=top: expected none or all or a whole"),
        (["features.normalise=fold"], "normalise=fold: expected none, global, utterance or"),
        (["features.normalise={speech: fold}"], "normalise.speech=fold: expected none, global"),
        (["features.normalise={frame: global}"], "features.normalise.frame: there is no such key"),
        (["features.normalise=3"], "normalise=3: expected none, .* such as {speech: global, text"),
        (["study=20241130"], "study=20241130: expected a word"),
        (["model.system._target_=null"], "model.system=.*: expected a class by its path"),
        (["fold=a", "seed=b"], "seed=b: expected a whole number; fold=a: expected a whole number"),
    ],
)
def test_keys_and_values_are_named_with_a_way_out(words, says):
    with pytest.raises(InputError, match=says.replace("[", r"\[")):
        RunConfig.of([*DEMO, *words])


@pytest.mark.parametrize(
    ("kind", "words", "says"),
    [
        (DataConfig, ["format=xml"], "format=xml: expected table or json"),
        (DataConfig, ["ids=3"], "ids=3: expected true or false"),
        (
            AlignVerbConfig,
            ["levels=[]"],
            r"levels=\[\]: expected some of",
        ),
        (AlignVerbConfig, ["levels=[word,word]"], "each once"),
        (AlignVerbConfig, ["levels=frame"], "levels=frame: expected some of"),
        (ExtractConfig, ["streams=[video]"], "streams.0=video: expected speech or text"),
        (ExtractConfig, ["levels=[letter]"], "levels.0=letter: expected frame, phone"),
        (TranscribeConfig, ["max_seconds=0"], "max_seconds=0: expected a number above 0"),
        (TranscribeConfig, ["recogniser.batch_seconds=no"], "batch_seconds=no: expected a number"),
        (SubmitConfig, ["nodes=0"], "nodes=0: expected a number of at least 1"),
        (SubmitConfig, ["setup=cd"], "setup=cd: expected a list"),
        (SubmitConfig, ["gpus=some"], "gpus=some: expected a whole number"),
    ],
)
def test_every_verb_checks_its_own(kind, words, says):
    with pytest.raises(InputError, match=says):
        kind.of(words)


def test_what_looks_like_a_number_is_text_where_text_is_meant():
    assert SubmitConfig.of(["account=123"]).account == "123"
    assert SubmitConfig.of(in_our_words(["time=30"])).time == "30"


@pytest.mark.parametrize(
    "asked",
    [
        "coattention",
        {"name": "both"},
        {**GOOD, "parts": ["a"]},
        {**GOOD, "parts": ["a", "a"]},
        {**GOOD, "weights": [1, 2]},
    ],
)
def test_a_combination_is_a_name_and_two_or_more_models(asked):
    assert CombineConfig.read(GOOD, "combine").parts == ("coattention", "late_fusion")
    config = RunConfig.of(DEMO)
    assert config.changed({"combine": GOOD}).combine == CombineConfig.read(GOOD)
    with pytest.raises(InputError, match="combine"):
        config.changed({"combine": asked})


def test_a_changed_configuration_is_another_one_and_is_checked():
    config = RunConfig.of(DEMO)
    other = config.changed({"trainer.max_epochs": 3, "data.root": "/elsewhere"})
    assert (config.trainer.max_epochs, other.trainer.max_epochs) == (30, 3)
    assert other.data.given("root") == other.plain["data"]["root"] == "/elsewhere"
    with pytest.raises(InputError, match="max_epochs=0"):
        config.changed({"trainer.max_epochs": 0})


def test_it_comes_back_from_its_file(tmp_path):
    config = RunConfig.of([*DEMO, "remedies=li2025", "augment=speech"])
    (tmp_path / "config.yaml").write_text(config.as_yaml())
    assert RunConfig.load(tmp_path / "config.yaml") == config
    with pytest.raises(InputError, match="is this a run folder"):
        RunConfig.load(tmp_path / "none.yaml")


def test_words_for_an_evaluation_change_only_the_groups_that_they_name():
    run = RunConfig.of([*DEMO, "trainer.max_epochs=3", "fold=2"])
    asked = EvaluateConfig.over(run, ["fold=4", "data=emodb", "data.root=/emodb"])
    assert (asked.fold, asked.data.name, asked.trainer.max_epochs) == (4, "emodb", 3)
    with pytest.raises(InputError, match="fold=x"):
        EvaluateConfig.over(run, ["fold=x"])


def test_a_component_is_made_with_what_is_inside_it():
    config = RunConfig.of([*DEMO, "model.streams=[phone]"])
    segments = config.model.system.given("streams")["phone"]
    assert (segments.class_name, segments.inside.class_name) == ("at_level", "TinySpeechEncoder")
    assert segments.innermost == segments.inside
    assert levels_of(config.model.system) == ["phone"]
    assert Component.of(segments.as_plain()) == segments
    assert Component("pathlib.PurePosixPath", {}).make() == Path()


@pytest.mark.parametrize("target", ["sermm.data.protocol.Protocol", "nowhere.Mine", "pathlib.No"])
def test_a_class_that_is_not_there_is_named(target):
    with pytest.raises(InputError, match=f"{target} cannot be had .* own code must be importable"):
        Component(target, {}).make()


def test_an_argument_that_a_class_does_not_take_is_named():
    config = RunConfig.of([*DEMO, "+model.system.depht=3"])
    with pytest.raises(InputError, match=r"LateFusion takes no depht; it takes"):
        config.model.system.make(n_classes=4)
