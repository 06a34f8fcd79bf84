"""Zhao 2022: the equations written once more in numpy, and the blocks against torch's own."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.layer_mix import LayerMix
from sermm.encoders.stored import Stored
from sermm.models.branch import LinearBranch
from sermm.models.coattention import CoAttention, CoAttentionLayer
from sermm.models.late_fusion import LateFusion
from sermm.models.transformer_branch import TransformerBranch

LAYERS, D, HEADS, K = 12, 12, 3, 4
LENGTHS = {"text": [4, 1, 7], "frame": [9, 5, 2], "phone": [3, 2, 6]}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


MODALITIES = {"text": "text", "frame": "speech", "phone": "speech"}
STREAMS = {name: Stored(name, D, LAYERS, MODALITIES[name]) for name in LENGTHS}


@pytest.fixture(autouse=True)
def _no_gradients():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.fixture
def batch():
    cached = {
        name: Ragged.pack([torch.randn(t, LAYERS, D) for t in lengths])
        for name, lengths in LENGTHS.items()
    }
    return Batch(("a", "b", "c"), cached=cached)


def shaken(model):
    """Other values than the 0 and 1 of the start, which hide faults; the layer weights too."""
    for parameter in model.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def array(tensor):
    return tensor.detach().double().numpy()


def linear(x, layer):
    return x @ array(layer.weight).T + array(layer.bias)


def relu(x):
    return np.maximum(x, 0)


def normalised(x, norm):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * array(norm.weight) + array(norm.bias)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def equation_1(u, mix):
    """LN(sum_l w_l u^l / sum_l w_l) of `[t l d]`."""
    w = array(mix.weight)
    return normalised(sum(w[i] * array(u[:, i]) for i in range(LAYERS)) / w.sum(), mix.norm)


def equation_2(u, branch):
    w1, w2 = (layer for layer in branch.layers if isinstance(layer, nn.Linear))
    states = [relu(linear(relu(linear(row, w1)), w2)) for row in u]
    return sum(states) / len(states)


def attention(own, source, module):
    """softmax(Q K^T / sqrt(d)) V head by head, W6 to W8 cut into heads."""
    q, k, v = (
        linear(x, part)
        for x, part in ((own, module.query), (source, module.key), (source, module.value))
    )
    size = D // HEADS
    cuts = [slice(h * size, (h + 1) * size) for h in range(HEADS)]
    heads = [softmax(q[:, c] @ k[:, c].T / np.sqrt(size)) @ v[:, c] for c in cuts]
    return linear(np.concatenate(heads, -1), module.out)


def block(own, source, module):
    x = normalised(own + attention(own, source, module.attention), module.norm_attention)
    first, _, _, second = module.feed_forward
    hidden = linear(x, first)
    gelu = hidden * (1 + np.vectorize(math.erf)(hidden / np.sqrt(2))) / 2
    return normalised(x + linear(gelu, second), module.norm_feed_forward)


def test_equation_1(batch):
    mix = shaken(LayerMix(LAYERS, D))
    for found, u in zip(
        mix(batch.cached["frame"]).split(), batch.cached["frame"].split(), strict=True
    ):
        np.testing.assert_allclose(found.numpy(), equation_1(u, mix), **CLOSE)


def test_equation_2(batch):
    branch, states = shaken(LinearBranch(D, 8)), batch.cached["phone"].map(lambda v: v[:, 0])
    expected = [equation_2(array(u), branch) for u in states.split()]
    np.testing.assert_allclose(branch(states).numpy(), expected, **CLOSE)


def test_equation_3(batch):
    system = shaken(LateFusion(STREAMS, K))
    found = system(batch).logits.softmax(-1).numpy()
    for n in range(3):
        logits = [
            linear(
                equation_2(
                    equation_1(batch.cached[name].split()[n], system.mixes[name]),
                    system.branches[name],
                ),
                system.classifiers[name],
            )
            for name in STREAMS
        ]
        np.testing.assert_allclose(found[n], softmax(sum(logits)), **CLOSE)


def test_equation_4(batch):
    system = shaken(CoAttention(STREAMS, K, depth=3, heads=HEADS, feed_forward=20))
    output = system(batch)
    for n in range(3):
        u = {
            name: equation_1(batch.cached[name].split()[n], system.mixes[name]) for name in STREAMS
        }
        c = []
        for name in ("frame", "phone"):
            text, speech = u["text"], u[name]
            for layer in system.stacks[name].layers:
                text, speech = block(text, speech, layer.text), block(speech, text, layer.speech)
            c.append((text.mean(0) + speech.mean(0)) / 2)
        c = np.concatenate(c)
        g = normalised(relu(linear(c, system.fuse)) + c, system.norm)
        np.testing.assert_allclose(output.embedding[n].numpy(), g, **CLOSE)
        y = softmax(linear(g, system.classifier))
        np.testing.assert_allclose(output.logits[n].softmax(-1).numpy(), y, **CLOSE)


def copied_attention(ours):
    """`nn.MultiheadAttention` with the weights of our attention."""
    theirs = nn.MultiheadAttention(D, HEADS, batch_first=True).eval()
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs


def test_a_co_attention_layer_is_multihead_attention_and_a_transformer_layer(batch):
    layer = shaken(CoAttentionLayer(D, HEADS, 20, 0.1))
    text, speech = (batch.cached[name].map(lambda v: v[:, 0]) for name in ("text", "frame"))
    for own, source, ours, found in zip(
        (text, speech), (speech, text), (layer.text, layer.speech), layer(text, speech), strict=True
    ):
        (q, _), (kv, real) = own.padded(), source.padded()
        # Theirs is True where a position is padding.
        read, _ = copied_attention(ours.attention)(q, kv, kv, key_padding_mask=~real)
        x = ours.norm_attention(q + read)
        first, _, _, second = ours.feed_forward
        x = ours.norm_feed_forward(x + second(nn.functional.gelu(first(x))))
        torch.testing.assert_close(found.values, own.from_padded(x).values, **CLOSE)


def test_a_transformer_branch_is_a_transformer_encoder_of_torch(batch):
    branch = shaken(TransformerBranch(D, 8, heads=HEADS, feed_forward=20))
    theirs = []
    for ours in branch.blocks:
        layer = nn.TransformerEncoderLayer(D, HEADS, 20, activation="gelu", batch_first=True)
        layer.self_attn = copied_attention(ours.attention)
        layer.linear1, layer.linear2 = ours.feed_forward[0], ours.feed_forward[3]
        layer.norm1, layer.norm2 = ours.norm_attention, ours.norm_feed_forward
        theirs.append(layer.eval())
    states = batch.cached["frame"].map(lambda v: v[:, 0])
    x, real = states.padded()
    for layer in theirs:
        x = layer(x, src_key_padding_mask=~real)
    expected = branch.layer(states.from_padded(x).mean())
    torch.testing.assert_close(branch(states), expected, **CLOSE)
