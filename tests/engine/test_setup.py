"""What a run says that it was run with, read off the configuration and the system."""

import pytest
import torch

from sermm.configuration.verbs import RunConfig
from sermm.demo.encoders import checkpoint
from sermm.engine.assembly.build import build, load_weights, weights
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


def test_an_adapter_is_what_was_trained(tmp_path):
    words = [
        "model=late_fusion", "encoder/speech=demo", "encoder/text=demo", f"cache_dir={tmp_path}",
        "trainer.accelerator=cpu", "features=finetune", "encoder.speech.adapter=lora",
        "encoder.text.adapter={rank: 4, alpha: 4}", "encoder.text.trainable=2",
    ]  # fmt: skip
    config, system = built(*words)
    found = by_key(config, system)
    assert found["encoder.speech"].trained == "LoRA rank 8 (q_proj, v_proj)"
    assert found["encoder.text"].trained == "LoRA rank 4 (query, value, top 2 layers)"
    kept = found["encoder.text"].settings
    assert [kept[f"adapter.{key}"] for key in ("rank", "alpha", "dropout")] == [4, 4.0, 0.1]
    size = parameters(config, system)
    # Layers x projections x (A + B) of 64 dimensions.
    assert size.trainable - size.head == 4 * 2 * 2 * 8 * 64 + 2 * 2 * 2 * 4 * 64
    whole = parameters(*built(*words[:5], "features=frozen"))
    assert size.total - (size.trainable - size.head) == whole.total
    none = by_key(*built(*words[:6]))["encoder.speech"]
    assert (none.trained, none.settings["adapter"]) == ("from scratch", None)


def test_what_is_kept_of_a_shared_encoder_is_its_adapter(tmp_path):
    words = [
        "model=late_fusion", "model.streams=[frame,phone]", "align.sources=[whole]",
        "encoder/speech=demo", f"cache_dir={tmp_path}", "features=finetune",
        "encoder.speech.adapter=lora",
    ]  # fmt: skip
    _, system = built(*words)
    kept = weights(system)
    of_encoders = [name for name in kept if ".hf." in name]
    # Four layers, two projections, A and B, by the names of two streams.
    assert len(of_encoders) == 2 * 4 * 2 * 2
    assert all(".lora_" in name for name in of_encoders)
    _, again = built(*words, "seed=1")
    load_weights(again, {name: value.clone() for name, value in kept.items()}, "the test")
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in system.state_dict().items())
