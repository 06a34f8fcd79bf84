"""Bian 2024, and the systems it compares with: the equations written once more in numpy."""

import numpy as np
import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.stored import Stored
from sermm.models.caf import CrossAttentionFusion
from sermm.models.cmgi import CmGI
from sermm.models.single_gate import SingleGate

D, H, HEADS, K = 12, 8, 3, 4
LENGTHS = {"speech": [9, 4, 1], "text": [3, 5, 2]}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


SPEECH, TEXT = Stored("speech", D, 1), Stored("text", H, 1)


@pytest.fixture(autouse=True)
def _no_gradients():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.fixture
def batch():
    cached = {
        name: Ragged.pack([torch.randn(t, 1, width) for t in LENGTHS[name]])
        for name, width in (("speech", D), ("text", H))
    }
    return Batch(("a", "b", "c"), cached=cached)


def shaken(model):
    """Other values than the 0 and 1 of the start, which hide faults."""
    for parameter in model.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def array(tensor):
    return tensor.detach().double().numpy()


def linear(x, layer):
    y = x @ array(layer.weight).T
    return y if layer.bias is None else y + array(layer.bias)


def normalised(x, norm):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * array(norm.weight) + array(norm.bias)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def att(q, k, v):
    return softmax(q @ k.T / np.sqrt(q.shape[-1])) @ v


def gated(own, other, gate):
    g = sigmoid(linear(np.concatenate([own, other], -1), gate.linear))
    return own * g + other * (1 - g)


def padded(x, literal, name):
    longest = max(LENGTHS[name]) if literal else len(x)
    return np.concatenate([x, np.zeros((longest - len(x), x.shape[1]))])


def states(system, batch, literal=False):
    """X_a and X_l of each utterance."""
    pairs = zip(batch.cached["speech"].split(), batch.cached["text"].split(), strict=True)
    for speech, text in pairs:
        x_a = normalised(array(speech[:, 0]), system.mix_speech.norm)
        x_l = linear(normalised(array(text[:, 0]), system.mix_text.norm), system.project)
        yield padded(x_a, literal, "speech"), padded(x_l, literal, "text")


def agree(system, batch, expected):
    output = system(batch)
    np.testing.assert_allclose(output.embedding.numpy(), expected, **CLOSE)
    logits = linear(np.stack(expected), system.classifier)
    np.testing.assert_allclose(output.logits.numpy(), logits, **CLOSE)


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("projections", [False, True])
def test_the_gate_of_the_readme_and_of_section_3_2(batch, projections, literal):
    system = shaken(SingleGate(SPEECH, TEXT, K, projections=projections, literal=literal))
    maps = [system.attention.query, system.attention.key, system.attention.value]

    def crossed(own, source):
        if not projections:
            return att(own, source, source)
        return att(*(linear(x, one) for x, one in zip((own, source, source), maps, strict=True)))

    expected = []
    for x_a, x_l in states(system, batch, literal):
        fused_a = gated(x_a, crossed(x_a, x_l), system.gate)
        fused_l = gated(x_l, crossed(x_l, x_a), system.gate)
        expected.append(np.concatenate([fused_a.mean(0), fused_l.mean(0)]))
    agree(system, batch, expected)


@pytest.mark.parametrize("literal", [False, True])
def test_the_gate_of_table_1_pooled(batch, literal):
    system = shaken(SingleGate(SPEECH, TEXT, K, variant="direct_pooled", literal=literal))
    expected = [
        gated(x_a.mean(0), x_l.mean(0), system.gate) for x_a, x_l in states(system, batch, literal)
    ]
    agree(system, batch, expected)


@pytest.mark.parametrize("literal", [False, True])
def test_the_gate_of_table_1_by_frame(batch, literal):
    system = shaken(SingleGate(SPEECH, TEXT, K, variant="direct_interp", literal=literal))
    expected = []
    for x_a, x_l in states(system, batch, literal):
        at = (np.arange(len(x_a)) + 0.5) * len(x_l) / len(x_a) - 0.5
        # np.interp holds the ends.
        s = np.stack([np.interp(at, np.arange(len(x_l)), column) for column in x_l.T], -1)
        expected.append(gated(x_a, s, system.gate).mean(0))
    agree(system, batch, expected)


def multi_head(own, source, module, heads):
    q, k, v = (
        linear(x, part)
        for x, part in ((own, module.query), (source, module.key), (source, module.value))
    )
    cuts = np.split(np.arange(q.shape[-1]), heads)
    return linear(np.concatenate([att(q[:, c], k[:, c], v[:, c]) for c in cuts], -1), module.out)


@pytest.mark.parametrize("literal", [False, True])
def test_cmgi(batch, literal):
    system = shaken(CmGI(SPEECH, TEXT, K, n_layers=2, heads=HEADS, literal=literal))

    def interacted(own, other, half):
        attended = multi_head(own, own, half.self_attention, HEADS)
        crossed = multi_head(own, other, half.cross_attention, HEADS)
        s, k = (
            normalised(own + attended, half.norm_self),
            normalised(own + crossed, half.norm_cross),
        )
        assert half.gate.linear.bias is None
        return gated(s, k, half.gate)

    expected = []
    for x_a, x_l in states(system, batch, literal):
        for layer in system.layers:
            x_a, x_l = interacted(x_a, x_l, layer.speech), interacted(x_l, x_a, layer.text)
        expected.append(np.concatenate([x_a.mean(0), x_l.mean(0)]))
    agree(system, batch, expected)


def test_cross_attention_fusion(batch):
    system = shaken(CrossAttentionFusion({"speech": SPEECH, "text": TEXT}, K, width=6))
    expected = []
    for n in range(3):
        h = {
            name: linear(
                normalised(array(batch.cached[name].split()[n][:, 0]), system.mixes[name].norm),
                system.projections[name],
            )
            for name in ("speech", "text")
        }
        read = {
            "speech": multi_head(h["speech"], h["text"], system.readers["speech"], 1),
            "text": multi_head(h["text"], h["speech"], system.readers["text"], 1),
        }
        expected.append(np.concatenate([(h[name] + read[name]).mean(0) for name in h]))
    agree(system, batch, expected)
