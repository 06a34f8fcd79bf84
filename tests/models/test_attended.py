"""What systems say of their attention: it is what they compute with, and named as the streams."""

import math

import pytest
import torch
from torch import nn

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.stored import Stored
from sermm.models.attention import Attention, attention_weights
from sermm.models.base import System
from sermm.models.caf import CrossAttentionFusion
from sermm.models.cmgi import CmGI
from sermm.models.coattention import CoAttention
from sermm.models.concatenation import Concatenation
from sermm.models.gated_attention import CrossAttention
from sermm.models.late_fusion import LateFusion
from sermm.models.single_gate import SingleGate
from sermm.models.transformer_branch import TransformerBranch

D = 8
SPEECH, TEXT = [4, 1, 3], [2, 3, 0]


def states(lengths, width=D, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.pack([torch.randn(n, width, generator=generator) for n in lengths])


def batch_of(*names):
    lengths = {"text": TEXT}
    cached = {
        name: states(lengths.get(name, SPEECH), seed=i).map(lambda v: v[:, None])
        for i, name in enumerate(names)
    }
    return Batch(("a", "b", "c"), cached=cached)


def streams(*names):
    kinds = {name: "text" if name == "text" else "speech" for name in names}
    return {name: Stored(name, D, 1, kinds[name]) for name in names}


def test_weights_of_two_heads_by_hand():
    # Head 0 scores ln 3 and 0 (weights 3/4, 1/4), head 1 scores 0 and 0 (1/2, 1/2).
    query = Ragged.pack([torch.tensor([[[1.0], [0.0]]])])
    key = Ragged.pack([torch.tensor([[[math.log(3)], [5.0]], [[0.0], [7.0]]])])
    (weights,) = attention_weights(query, key)
    torch.testing.assert_close(weights, torch.tensor([[0.625, 0.375]]))


def test_scores_are_divided_by_the_root_of_the_size_of_a_head():
    query = Ragged.pack([torch.full((1, 1, 4), 1.0)])
    key = Ragged.pack([torch.stack([torch.full((1, 4), math.log(3) / 2), torch.zeros(1, 4)])])
    (weights,) = attention_weights(query, key)
    # (4 ln 3 / 2) / sqrt(4) = ln 3
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]]))


@pytest.mark.parametrize("heads", [1, 2])
def test_weights_times_values_are_what_attention_reads(heads):
    torch.manual_seed(0)
    attention = Attention(D, heads, 0.5).eval()
    attention.out = nn.Identity()
    size = D // heads
    with torch.no_grad():
        # All heads get the same values, so the mean of what they read is that of their weights.
        attention.value.weight.copy_(attention.value.weight[:size].repeat(heads, 1))
        attention.value.bias.copy_(attention.value.bias[:size].repeat(heads))
    own, source = states([4, 2]), states([3, 5], seed=1)
    read = own.with_values(attention(own, source)).split()
    values = source.map(attention.value).split()
    for weights, value, expected in zip(attention.weights(own, source), values, read, strict=True):
        mean = expected.view(-1, heads, size).mean(1)
        torch.testing.assert_close(weights @ value[:, :size], mean)


@pytest.mark.parametrize("projections", [True, False])
def test_weights_times_values_are_what_cross_attention_reads(projections):
    torch.manual_seed(0)
    attention = CrossAttention(D, projections)
    own, source = states([4, 2]), states([3, 5], seed=1)
    values = source.map(attention.value).split()
    read = attention(own, source).split()
    for weights, value, expected in zip(attention.weights(own, source), values, read, strict=True):
        torch.testing.assert_close(weights @ value, expected)


def both(speech="speech", text="text"):
    return [(speech, text), (text, speech)]


CASES = {
    "coattention": (
        lambda: CoAttention(streams("text", "frame", "word"), 2, heads=2, feed_forward=8, depth=2),
        ("text", "frame", "word"),
        both("frame") + both("word"),
    ),
    "cmgi": (
        lambda: CmGI(*streams("speech", "text").values(), 2, n_layers=2, heads=2, asr_loss=None),
        ("speech", "text"),
        [*both(), ("speech", "speech"), ("text", "text")],
    ),
    "single_gate": (
        lambda: SingleGate(*streams("speech", "text").values(), 2),
        ("speech", "text"),
        both(),
    ),
    "projected": (
        lambda: SingleGate(*streams("speech", "text").values(), 2, projections=True),
        ("speech", "text"),
        both(),
    ),
    "caf": (
        lambda: CrossAttentionFusion(streams("spectral", "speech"), 2, width=D),
        ("spectral", "speech"),
        both("spectral", "speech"),
    ),
    "transformer": (
        lambda: LateFusion(streams("text", "frame"), 2, TransformerBranch),
        ("text", "frame"),
        [("text", "text"), ("frame", "frame")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_matrix_an_utterance_whose_rows_sum_to_one(case):
    make, names, expected = CASES[case]
    torch.manual_seed(0)
    found = make().eval().attended(batch_of(*names))
    assert [(a.query, a.key) for a in found] == expected
    for attended in found:
        for i, weights in enumerate(attended.weights):
            n, m = (TEXT if s == "text" else SPEECH for s in (attended.query, attended.key))
            assert weights.shape == (n[i], m[i])
            if m[i]:
                torch.testing.assert_close(weights.sum(-1), torch.ones(n[i]))


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_attention_of_the_last_layer(case, monkeypatch):
    """The queries and keys that went into the last attention of each stream give the weights."""
    make, names, _ = CASES[case]
    torch.manual_seed(0)
    model, batch = make().eval(), batch_of(*names)
    used = []
    for kind in (Attention, CrossAttention):

        def spy(self, own, source, forward=kind.forward):
            used.append(self.weights(own, source))
            return forward(self, own, source)

        monkeypatch.setattr(kind, "forward", spy)
    model(batch)
    monkeypatch.undo()

    def flat(matrices):
        return torch.cat([m.flatten() for m in matrices])

    for attended in model.attended(batch):
        ours = flat(attended.weights)
        # Layer for layer, the last one that fits is ours.
        assert any(flat(w).shape == ours.shape and torch.allclose(flat(w), ours) for w in used)


def test_last_layer_and_not_an_earlier_one():
    torch.manual_seed(0)
    model, batch = CASES["coattention"][0]().eval(), batch_of("text", "frame", "word")
    before = model.attended(batch)
    last = model.stacks["frame"].layers[-1].speech.attention.query
    with torch.no_grad():
        last.weight.mul_(3)
    after = model.attended(batch)
    changed = [
        not torch.equal(a.weights[0], b.weights[0]) for a, b in zip(before, after, strict=True)
    ]
    assert changed == [True, False, False, False]


@pytest.mark.parametrize("variant", ["direct_pooled", "direct_interp"])
def test_a_gate_without_attention_has_nothing_to_show(variant):
    model = SingleGate(*streams("speech", "text").values(), 2, variant=variant)
    assert model.attended(batch_of("speech", "text")) == ()


def test_systems_without_attention_have_nothing_to_show():
    batch = batch_of("text", "frame")
    assert LateFusion(streams("text", "frame"), 2).attended(batch) == ()
    assert Concatenation(streams("text", "frame"), 2).attended(batch) == ()
    assert System().gates(batch) == {}
