"""Which parameter learns at which rate."""

import pytest

from sermm.bench.epoch import speech_task
from sermm.core.errors import InputError
from sermm.engine.training.learner import parameter_groups

MFCC = ("n_mfcc", "centred", "pitch", "augment", "channels", "stride", "hidden")
DEMO = ["encoder/speech=demo", "encoder/text=demo", *(f"~encoder.speech.{name}" for name in MFCC)]


@pytest.fixture
def task(tmp_path):
    """Late fusion of two pre-trained encoders of four layers each."""
    more = [*DEMO, f"cache_dir={tmp_path}", "model.learning.encoder_lr=0.001"]
    return speech_task(tmp_path, 8, more)


def rates(task, layer_decay):
    options = task.config.model.learning.model_copy(update={"layer_decay": layer_decay})
    groups = list(parameter_groups(task.system, options))
    found = [id(p) for group in groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in task.system.parameters() if p.requires_grad)
    names = {id(p): name for name, p in task.system.named_parameters()}
    return groups, {names[id(p)]: group for group in groups for p in group["params"]}


def test_without_decay_there_is_one_rate_for_encoders_and_one_for_the_rest(task):
    groups, of = rates(task, 1.0)
    assert [(g["lr"], g["weight_decay"]) for g in groups] == [
        (0.001, 0.01),
        (0.001, 0.0),
        (0.006, 0.01),
        (0.006, 0.0),
    ]
    assert of["streams.frame.hf.encoder.layers.3.feed_forward.output_dense.weight"] is groups[0]
    assert of["streams.text.hf.embeddings.LayerNorm.bias"] is groups[1]
    assert {of[name]["lr"] for name in of if not name.startswith("streams.")} == {0.006}


def test_each_layer_learns_with_a_share_of_the_rate_of_the_one_above(task):
    groups, of = rates(task, 0.5)
    # Five depths with and without weight decay, and the rest.
    assert len(groups) == 12
    for number, rate in enumerate([0.000125, 0.00025, 0.0005, 0.001]):
        for layers in ("streams.frame.hf.encoder.layers", "streams.text.hf.encoder.layer"):
            own = [g["lr"] for name, g in of.items() if name.startswith(f"{layers}.{number}.")]
            assert len(own) == 16
            assert own == pytest.approx([rate] * 16)
    lowest = [
        "streams.frame.hf.encoder.layer_norm.weight",
        "streams.frame.hf.feature_projection.projection.weight",
        "streams.text.hf.embeddings.word_embeddings.weight",
    ]
    assert [of[name]["lr"] for name in lowest] == pytest.approx([0.0000625] * 3)
    assert {of[name]["lr"] for name in of if not name.startswith("streams.")} == {0.006}
    assert {of[name]["weight_decay"] for name in of if name.endswith("layer_norm.weight")} == {0.0}


@pytest.mark.parametrize("decay", [0.0, 1.5, -0.5])
def test_a_layer_decay_that_is_none_is_refused(task, decay):
    with pytest.raises(InputError, match=r"model\.learning\.layer_decay=.*above 0 and up to 1"):
        rates(task, decay)


@pytest.mark.parametrize(("own", "rate"), [(None, 0.001), (0.02, 0.02)])
def test_a_residual_of_the_embeddings_is_a_group_of_its_own(tmp_path, own, rate):
    more = [*DEMO, f"cache_dir={tmp_path}", "model.learning.encoder_lr=0.001"]
    task = speech_task(tmp_path, 8, [*more, "encoder.text.gdes=full"])
    options = task.config.model.learning.model_copy(update={"embedding_lr": own})
    groups = list(parameter_groups(task.system, options))
    residual = task.system.encoders["streams.text"].hf.embeddings.word_embeddings.residual
    (of_residual,) = (g for g in groups if any(p is residual for p in g["params"]))
    assert len(of_residual["params"]) == 1
    assert of_residual["lr"] == rate
    # The others are as without it.
    assert [g["lr"] for g in groups if g is not of_residual] == [0.001, 0.001, 0.006, 0.006]


def test_adapters_have_a_rate_of_their_own_at_every_depth(tmp_path):
    adapters = [
        "encoder.speech.adapter=lora",
        "features=finetune",
        "model.learning.adapter_lr=0.02",
    ]
    more = [*DEMO, f"cache_dir={tmp_path}", "model.learning.encoder_lr=0.001", *adapters]
    task = speech_task(tmp_path, 8, more)
    _, of = rates(task, 0.5)
    own = {name: group["lr"] for name, group in of.items() if ".lora_" in name}
    assert len(own) == 4 * 2 * 2
    assert set(own.values()) == {0.02}
    speech = [name for name in of if name.startswith("streams.frame.hf.")]
    assert sorted(speech) == sorted(own)
    assert max(g["lr"] for n, g in of.items() if n.startswith("streams.text.hf.")) == 0.001
