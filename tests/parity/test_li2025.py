"""Li 2025: equations (1) and (3) and the head written once more in numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.stored import Stored
from sermm.models.deberta_bilstm import CrossModalAttention, DebertaBiLSTM

T, L, D, HEADS = [5, 2], [3, 4], 8, 2


def array(tensor):
    return tensor.detach().double().numpy()


def linear(x, layer):
    return x @ array(layer.weight).T + array(layer.bias)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def normalised(x, norm):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * array(norm.weight) + array(norm.bias)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, layer):
    """Equation (1), gates in torch's order: input, forget, cell, output."""
    h = c = np.zeros(layer.hidden_size)
    states = []
    for frame in x:
        z = array(layer.weight_ih_l0) @ frame + array(layer.bias_ih_l0)
        z = z + array(layer.weight_hh_l0) @ h + array(layer.bias_hh_l0)
        i, f, g, o = np.split(z, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def bilstm(x, module):
    ahead = lstm(x, module.rightward[0])
    return np.concatenate([ahead, lstm(x[::-1], module.leftward[0])[::-1]], -1)


def attention(a, x, module, scale):
    """Equation (3), a head at a time."""
    q = linear(a, module.query)
    k, v = (
        x if isinstance(layer, nn.Identity) else linear(x, layer)
        for layer in (module.key, module.value)
    )
    heads = zip(*(np.split(m, HEADS, axis=-1) for m in (q, k, v)), strict=True)
    divide_by = np.sqrt(D if scale == "model" else D / HEADS)
    return np.concatenate([softmax(q @ k.T / divide_by) @ v for q, k, v in heads], -1)


@pytest.mark.parametrize("kv_share", ["text_fc", "tied", "none"])
@pytest.mark.parametrize("scale", ["head", "model"])
@torch.no_grad()
def test_logits_are_those_of_the_equations(kv_share, scale):
    torch.manual_seed(0)

    def made(d):
        return CrossModalAttention(d, HEADS, kv_share, scale)

    system = DebertaBiLSTM(
        Stored("speech", 3, 1), Stored("text", 6, 1), 4, attention=made, width=D
    ).eval()
    for parameter in system.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    speech = [torch.randn(t, 1, 3) for t in T]
    text = [torch.randn(n, 1, 6) for n in L]
    batch = Batch(("a", "b"), cached={"speech": Ragged.pack(speech), "text": Ragged.pack(text)})
    found = array(system(batch).logits)
    for i in range(2):
        a = bilstm(array(speech[i][:, 0]), system.over_time)
        x = linear(array(text[i][:, 0]), system.text_fc)
        o = attention(a, x, system.attention, scale)
        z = np.concatenate([normalised(a + o, system.attention.norm).mean(0), x.mean(0)])
        hidden = np.maximum(linear(z, system.classifier[0]), 0)
        np.testing.assert_allclose(
            found[i], linear(hidden, system.classifier[3]), rtol=1e-5, atol=1e-5
        )


@torch.no_grad()
def test_the_baseline_is_two_means():
    torch.manual_seed(0)
    system = DebertaBiLSTM(
        Stored("speech", 3, 1), Stored("text", 6, 1), 4, "mean", "static", "concatenation", width=D
    ).eval()
    speech, text = torch.randn(5, 1, 3), torch.randn(4, 1, 6)
    cached = {"speech": Ragged.pack([speech]), "text": Ragged.pack([text])}
    found = array(system(Batch(("a",), cached=cached)).logits[0])
    a = linear(array(speech[:, 0]).mean(0), system.over_time.linear)
    x = linear(array(text[:, 0]).mean(0), system.text_fc)
    hidden = np.maximum(linear(np.concatenate([a, x]), system.classifier[0]), 0)
    np.testing.assert_allclose(found, linear(hidden, system.classifier[3]), rtol=1e-5, atol=1e-5)
