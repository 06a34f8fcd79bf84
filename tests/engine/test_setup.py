"""What a run says that it was run with, read off the configuration and the system."""

import pytest

from sermm.configuration.verbs import RunConfig
from sermm.demo.encoders import checkpoint
from sermm.engine.assembly.build import build
from sermm.engine.setup import parameters, recipe, setup_of

TINY = ["encoder/speech=tiny", "encoder/text=tiny", "trainer.accelerator=cpu"]


def built(*words, stored=None):
    config = RunConfig.of(list(words))
    return config, build(config, 4, None, ["a b", "c d"], stored)


def by_key(config, system):
    return {one.key: one for one in setup_of(config, system, None).encoders}


def test_encoders_are_named_with_where_their_weights_come_from(tmp_path):
    folder = checkpoint(tmp_path, "speech")
    words = ["model=caf", f"encoder.speech.id={folder}", "encoder/text=tiny"]
    config, system = built(*words, "trainer.accelerator=cpu", "features=frozen")
    found = by_key(config, system)
    speech = found["encoder.speech"]
    assert (speech.name, speech.weights, speech.trained) == (
        folder.rpartition("/")[2],
        "pre-trained",
        "frozen",
    )
    assert len(speech.revision) == 12
    own = found["model.system.streams.spectral"]
    assert (own.name, own.weights, own.trained) == ("mfcc and BiLSTM", "random", "from scratch")


def test_a_folder_of_the_hubs_cache_has_the_hubs_name(tmp_path):
    commit = tmp_path / "models--facebook--wav2vec2-base" / "snapshots" / "0b5b"
    chosen = RunConfig.of(["model=speech_only", f"encoder.speech.id={commit}"]).encoder["speech"]
    made_by = RunConfig.of(["model=speech_only"]).model.system.given("streams")["frame"].object
    assert made_by.origin(**chosen).name == "facebook/wav2vec2-base"


def test_streams_over_one_encoder_name_it_once():
    streams = "model.streams=[text,frame,phone]"
    config, system = built(*TINY, "model=late_fusion", streams, "align.sources=[whole]")
    found = setup_of(config, system, None)
    assert [one.key for one in found.encoders] == ["encoder.text", "encoder.speech"]
    assert {one.trained for one in found.encoders} == {"from scratch"}
    assert found.variant == "late_fusion text+frame+phone"


@pytest.mark.parametrize("model", ["speech_only", "late_fusion"])
def test_stored_encoders_count_as_live_ones_do(tmp_path, model):
    words = [
        f"model={model}", "encoder/speech=demo", "encoder/text=demo", f"cache_dir={tmp_path}",
        "trainer.accelerator=cpu",
    ]  # fmt: skip
    live = parameters(*built(*words, "features=frozen"))
    shapes = {"streams.frame": (1, 64), "streams.text": (1, 64)}
    stored = parameters(*built(*words, "features=cached", stored=shapes))
    assert stored == live
    assert live.head == live.trainable < live.total


def test_what_is_trained_of_the_encoders_is_not_of_the_head():
    found = parameters(*built(*TINY, "model=late_fusion"))
    # what stands in for masked frames is there and not trained
    assert found.head < found.trainable < found.total


def test_the_recipe_says_what_a_whole_batch_is_and_what_is_not_the_models_own():
    words = ["trainer.batch_size=4", "trainer.accumulate=8", "model.learning.lr=0.5"]
    config, system = built(*TINY, "model=single_gate", "model.system.dropout=0.0", *words)
    found = setup_of(config, system, {"noise": {}, "gain": {}})
    assert found.recipe["trainer.batch_size"] == 32
    assert found.recipe["augment"] == "gain+noise"
    assert found.recipe["model.learning.optimizer"] == "AdamW"
    changed = {"trainer.batch_size", "augment", "model.learning.lr", "model.system.dropout"}
    assert set(found.changed) == changed


def test_optimisers_arguments_and_parts_inside_the_system_are_in_the_recipe():
    config = RunConfig.of([*TINY, "model=late_fusion", "+model.learning.optimizer.eps=1e-6"])
    found = recipe(config)
    assert found["model.learning.optimizer.eps"] == 1e-6
    assert found["model.system.branch.width"] == 128


def test_speech_alone_has_no_source_of_texts_and_a_floor_no_recipe():
    assert "text.source" not in setup_of(*built(*TINY, "model=speech_only"), None).recipe
    assert setup_of(*built("model=majority"), None).recipe == {}
