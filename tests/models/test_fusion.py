"""The equations restated with numbers that can be checked by hand or in numpy."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, TextEncoder
from sermm.models.late_fusion import LateFusion
from sermm.models.single_gate import SigmoidGate, SingleGate, cross_attention
from sermm.models.single_stream import SingleStream


class Given(Encoder):
    """Hidden states that the test gives, as `cached`."""

    needs = frozenset({"waveform"})

    def __init__(self, name: str, width: int, n_layers: int = 1) -> None:
        super().__init__()
        self.name, self.width, self.n_layers = name, width, n_layers

    def forward(self, batch: Batch) -> Ragged:
        return batch.cached[self.name]


class GivenText(Given, TextEncoder):
    needs = frozenset({"tokens"})

    def tokenize(self, transcripts: Sequence[str]) -> list[list[int]]:
        raise NotImplementedError


def states(lengths, width, n_layers=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.pack([torch.randn(t, n_layers, width, generator=generator) for t in lengths])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_gate_of_zeros_is_half_way():
    gate = SigmoidGate(2)
    nn.init.zeros_(gate.linear.weight)
    nn.init.zeros_(gate.linear.bias)
    mixed = gate(torch.tensor([[2.0, 4.0]]), torch.tensor([[0.0, 8.0]]))
    assert mixed.tolist() == [[1.0, 6.0]]


def test_cross_attention_by_hand():
    query = Ragged.pack([torch.tensor([[1.0, 0.0]])])
    source = Ragged.pack([torch.tensor([[1.0, 0.0], [0.0, 1.0]])])
    share = np.exp(1 / np.sqrt(2)) / (np.exp(1 / np.sqrt(2)) + 1)
    found = cross_attention(query, source).values
    assert found.flatten().tolist() == pytest.approx([share, 1 - share], abs=1e-6)


def test_a_query_without_source_gets_zeros_and_leaves_the_others_alone():
    query, source = states([2, 3], 4).map(lambda v: v[:, 0]), states([0, 2], 4, seed=1)
    source = source.map(lambda v: v[:, 0])
    found = cross_attention(query, source)
    assert found.split()[0].abs().sum() == 0
    alone = cross_attention(Ragged.pack([query.split()[1]]), Ragged.pack([source.split()[1]]))
    torch.testing.assert_close(found.split()[1], alone.values)


def test_single_gate_is_the_formula_of_its_source():
    torch.manual_seed(0)
    d, h, k = 6, 4, 3
    system = SingleGate(Given("a", d), GivenText("l", h), k).eval()
    batch = Batch(("x", "y"), cached={"a": states([5, 2], d), "l": states([3, 4], h, seed=1)})
    logits = system(batch).logits.detach().numpy()
    gate = system.gate.linear
    w, b = gate.weight.detach().numpy(), gate.bias.detach().numpy()
    for i in range(2):
        x_a = system.mix_speech(batch.cached["a"]).split()[i].detach().numpy()
        x_l = system.project(system.mix_text(batch.cached["l"]).split()[i]).detach().numpy()
        parts = []
        for own, other in ((x_a, x_l), (x_l, x_a)):
            c = softmax(own @ other.T / np.sqrt(d)) @ other
            g = 1 / (1 + np.exp(-(np.concatenate([own, c], -1) @ w.T + b)))
            parts.append((own * g + c * (1 - g)).mean(0))
        u = torch.tensor(np.concatenate(parts), dtype=torch.float32)
        np.testing.assert_allclose(
            logits[i], system.classifier(u).detach().numpy(), rtol=1e-4, atol=1e-5
        )


def test_the_gate_of_the_source_has_its_two_million_parameters():
    assert sum(p.numel() for p in SigmoidGate(1024).parameters()) == 2_098_176


def test_late_fusion_is_the_sum_of_its_branches():
    torch.manual_seed(0)
    system = LateFusion({"speech": Given("a", 6, 3), "text": GivenText("l", 4)}, 3).eval()
    batch = Batch(("x", "y"), cached={"a": states([5, 2], 6, 3), "l": states([3, 4], 4)})
    output = system(batch)
    single = {}
    for name, stream in system.streams.items():
        alone = SingleStream(stream, 3)
        alone.branch, alone.classifier = system.branches[name], system.classifiers[name]
        single[name] = alone.eval()(batch)
    expected = single["speech"].logits + single["text"].logits
    torch.testing.assert_close(output.logits, expected)
    assert output.embedding.shape == (2, 256)


def test_a_system_names_its_encoders_and_what_they_read():
    system = LateFusion({"speech": Given("a", 6), "text": GivenText("l", 4)}, 3)
    assert list(system.encoders) == ["streams.speech", "streams.text"]
    assert system.needs == {"waveform", "tokens"}
    assert system.text_encoder is system.streams["text"]
    assert SingleStream(Given("a", 6), 3).text_encoder is None
