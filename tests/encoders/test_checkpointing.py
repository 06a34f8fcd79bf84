"""Trained layers that run again in the backward pass: the same numbers, less memory."""

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.hf.speech import HFSpeechEncoder, SpeechTransformer
from sermm.encoders.hf.text import HFTextEncoder
from sermm.engine.training.memory_estimate import saved_bytes

SECONDS = (0.7, 0.02, 0.4)
TEXTS = ["I am so happy!", "Go away.", "No, no, I am sad."]


def six_layers(trainable="all", freeze_front_end=True):
    config = Wav2Vec2Config(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=6,
        num_attention_heads=2,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        layerdrop=0.0,
    )
    torch.manual_seed(0)
    model = Wav2Vec2Model(config)
    return SpeechTransformer(model, trainable, "last", freeze_front_end, True, False).train()


def speech():
    generator = torch.Generator().manual_seed(0)
    clips = [0.1 * torch.randn(round(16000 * s), generator=generator) for s in SECONDS]
    return Batch(("a", "b", "c"), waveform=Ragged.pack(clips))


def text(encoder):
    rows = [torch.tensor(row) for row in encoder.tokenize(TEXTS)]
    return Batch(("a", "b", "c"), tokens=Ragged.pack(rows))


def step(encoder, batch, seed=1):
    """Loss and gradients of one step, and what the generator gives after it."""
    encoder.train()
    encoder.zero_grad(set_to_none=True)
    torch.manual_seed(seed)
    values = encoder(batch).values
    loss = (values * torch.arange(values.numel()).view(values.shape).cos()).sum()
    torch.autograd.backward(loss)
    found = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    return loss.detach(), found, torch.rand(1)


def assert_same_when_run_again(encoder, batch):
    plain = step(encoder, batch)
    assert not torch.allclose(step(encoder, batch, seed=2)[0], plain[0])
    encoder.recompute()
    again = step(encoder, batch)
    assert plain[1].keys() == again[1].keys() != set()
    torch.testing.assert_close(again, plain, rtol=1e-6, atol=1e-7)


def test_speech_encoders_learn_the_same_with_dropout(speech_folder):
    encoder = HFSpeechEncoder(str(speech_folder), layers="all", freeze_front_end=False)
    assert_same_when_run_again(encoder, speech())


def test_text_encoders_learn_the_same_with_dropout(text_folder):
    encoder = HFTextEncoder(str(text_folder), layers="all", max_tokens=30)
    assert_same_when_run_again(encoder, text(encoder))


def test_top_layers_alone_learn_the_same(wav2vec2_folder, bert_folder):
    assert_same_when_run_again(HFSpeechEncoder(str(wav2vec2_folder), trainable=2), speech())
    encoder = HFTextEncoder(str(bert_folder), trainable=1, max_tokens=30)
    assert_same_when_run_again(encoder, text(encoder))


def test_masked_frames_are_the_same_frames_when_layers_run_again(wav2vec2_folder):
    encoder = HFSpeechEncoder(str(wav2vec2_folder), freeze_front_end=False, spec_augment=True)
    assert_same_when_run_again(encoder, speech())


def test_half_precision_is_the_same_when_layers_run_again(wav2vec2_folder):
    encoder = HFSpeechEncoder(str(wav2vec2_folder))
    with torch.autocast("cpu", torch.bfloat16):
        assert_same_when_run_again(encoder, speech())


@pytest.mark.parametrize("front_end", [True, False])
def test_six_layers_keep_a_third_or_less(front_end):
    encoder = six_layers(freeze_front_end=front_end)
    plain = saved_bytes(encoder, speech())
    encoder.recompute(but=1)
    with_one = saved_bytes(encoder, speech())
    encoder.recompute()
    least = saved_bytes(encoder, speech())
    assert plain >= 3 * with_one
    # One layer of six: what six layers keep, less their inputs, is six times as much.
    one = with_one - least
    assert plain - least >= 6 * one > 0
    if front_end:
        assert plain - least == 6 * one


def test_what_is_frozen_is_not_run_again():
    encoder = six_layers(trainable=2)
    runs = []
    for layer in encoder.hf.encoder.layers:
        layer.attention.k_proj.register_forward_hook(lambda *_: runs.append(1))
    encoder.recompute()
    torch.autograd.backward(encoder(speech()).values.sum())
    assert len(runs) == 6 + 2
    runs.clear()
    with torch.no_grad():
        encoder(speech())
    assert len(runs) == 6


def test_every_parameter_lies_at_one_depth(speech_folder):
    encoder = HFSpeechEncoder(str(speech_folder))
    depths = encoder.by_depth()
    assert len(depths) == 4
    found = [id(p) for part in depths for p in part]
    assert sorted(found) == sorted(id(p) for p in encoder.parameters())
    depth = {id(p): d for d, part in enumerate(depths) for p in part}
    for number, block in enumerate(encoder._blocks):
        assert {depth[id(p)] for p in block.parameters()} == {number + 1}
    assert {depth[id(p)] for part in encoder._family.front for p in part.parameters()} <= {0}
    assert {depth[id(p)] for part in encoder._on_top for p in part.parameters()} <= {3}
    under = [p for n, p in encoder.hf.named_parameters() if "pos_conv" in n or "positions" in n]
    assert {depth[id(p)] for p in under} <= {0}
    if not encoder._on_top and hasattr(encoder.hf.encoder, "layer_norm"):
        assert depth[id(encoder.hf.encoder.layer_norm.weight)] == 0


def test_embeddings_lie_below_the_layers_of_a_text_encoder(text_folder):
    encoder = HFTextEncoder(str(text_folder), max_tokens=30)
    depths = encoder.by_depth()
    # One layer that runs three times is one depth.
    groups = getattr(encoder.hf.config, "num_hidden_groups", 3)
    assert len(depths) == 1 + groups
    found = [id(p) for part in depths for p in part]
    assert sorted(found) == sorted(id(p) for p in encoder.parameters())
    assert id(encoder.hf.get_input_embeddings().weight) in {id(p) for p in depths[0]}
