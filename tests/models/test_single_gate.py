"""The gate in numbers that can be checked by hand; the equations are in tests/parity."""

import math

import jaxtyping
import pytest
import torch
from torch import nn

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.stored import Stored
from sermm.models.cmgi import CmGI
from sermm.models.gated_attention import CrossAttention, SigmoidGate, with_padding
from sermm.models.single_gate import SingleGate, stretched


def rows(*sequences):
    """Sequences of numbers as states `[n 1]`, or of vectors as `[n d]`."""
    tensors = [torch.tensor(sequence, dtype=torch.float32) for sequence in sequences]
    return Ragged.pack([t[:, None] if t.ndim == 1 else t for t in tensors])


def sequences(ragged):
    return [values.squeeze(-1).tolist() for values in ragged.split()]


def plain(gate, speech, text, **options):
    """A gate of one channel that is `gate` everywhere, on states left as they are given."""
    system = SingleGate(Stored("speech", 1, 1), Stored("text", 1, 1), 2, **options).eval()
    system.mix_speech.norm = system.mix_text.norm = system.project = nn.Identity()
    nn.init.zeros_(system.gate.linear.weight)
    nn.init.constant_(system.gate.linear.bias, math.log(gate / (1 - gate)) if gate < 1 else 99.0)
    cached = {
        name: rows(*values).map(lambda v: v[:, None])
        for name, values in (("speech", speech), ("text", text))
    }
    return system, Batch(tuple("abc"[: len(speech)]), cached=cached)


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_a_gate_of_zeros_is_half_way():
    gate = SigmoidGate(2)
    nn.init.zeros_(gate.linear.weight)
    nn.init.zeros_(gate.linear.bias)
    gated = gate(rows([[2.0, 4.0]]), rows([[0.0, 8.0]]))
    assert gated.fused.values.tolist() == [[1.0, 6.0]]
    assert gated.gate.values.tolist() == [[0.5, 0.5]]


def test_cross_attention_by_hand():
    found = CrossAttention(2, projections=False)(rows([[1.0, 0.0]]), rows([[1.0, 0.0], [0.0, 1.0]]))
    share = math.exp(1 / math.sqrt(2)) / (math.exp(1 / math.sqrt(2)) + 1)
    assert found.values.flatten().tolist() == pytest.approx([share, 1 - share], abs=1e-6)


@pytest.mark.parametrize("projections", [False, True])
def test_a_query_without_source_gets_zeros_and_leaves_the_others_alone(projections):
    torch.manual_seed(0)
    own, read = torch.randn(3, 4), torch.randn(2, 4)
    attention = CrossAttention(4, projections)
    query = Ragged.pack([torch.randn(2, 4), own])
    found = attention(query, Ragged.pack([torch.zeros(0, 4), read])).split()
    assert found[0].abs().sum() == 0
    alone = attention(Ragged.pack([own]), Ragged.pack([read]))
    torch.testing.assert_close(found[1], alone.values)


def test_the_fusion_has_the_parameters_that_the_source_counts():
    assert size(SigmoidGate(1024)) == 2_098_176

    def fusion(**options):
        system = SingleGate(Stored("speech", 1024, 1), Stored("text", 768, 1), 4, **options)
        return size(system.gate) + size(system.attention)

    assert fusion() == 2_098_176
    assert fusion(projections=True) == 5_246_976


def test_an_open_gate_leaves_the_means_and_a_closed_one_what_was_read():
    speech, text = [[0.0, 6.0]], [[2.0]]
    system, batch = plain(1.0, speech, text)
    assert system(batch).embedding.tolist() == [[3.0, 2.0]]
    system, batch = plain(1e-9, speech, text)
    # Speech can read only the 2; the 2 reads 0 and 6 with weights 1 and e^12.
    expected = [2.0, 6 * math.exp(12) / (math.exp(12) + 1)]
    assert system(batch).embedding[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_mean_of_the_published_code_runs_over_padding():
    speech, text = [[6.0], [3.0, 6.0, 9.0]], [[4.0, 4.0], [5.0]]
    system, batch = plain(1.0, speech, text)
    assert system(batch).embedding.tolist() == [[6.0, 4.0], [6.0, 5.0]]
    system, batch = plain(1.0, speech, text, literal=True)
    # (6 + 0 + 0) / 3, and (5 + 0) / 2.
    assert system(batch).embedding.tolist() == [[2.0, 4.0], [6.0, 2.5]]


def test_the_softmax_of_the_published_code_runs_over_padding():
    # A query of 0 weighs all alike: 3 alone, but 3, 0 and 0 beside an utterance of three tokens.
    speech, text = [[0.0], [0.0]], [[3.0], [1.0, 1.0, 1.0]]
    for literal, expected in ((False, 3.0), (True, 1.0)):
        system, batch = plain(1e-9, speech, text, literal=literal)
        found = system(batch).embedding[:, 0].tolist()
        assert found == pytest.approx([expected, 1.0], abs=1e-6)


def test_padding_is_zeros_up_to_the_longest():
    assert sequences(with_padding(rows([1.0], [2.0, 3.0], []))) == [[1, 0], [2, 3], [0, 0]]


def test_stretching_is_linear_and_holds_the_ends():
    lengths = torch.tensor([4, 1, 3, 2])
    found = stretched(rows([0.0, 4.0], [2.0, 4.0, 6.0], [5.0], []), lengths)
    # Positions -1/4 (held at 0), 1/4, 3/4, 5/4 (held at 1) of 0 and 4.
    assert sequences(found) == [[0, 1, 3, 4], [4], [5, 5, 5], [0, 0]]


def test_the_direct_gates_mix_speech_and_text():
    speech, text = [[1.0, 3.0, 8.0, 8.0]], [[0.0, 4.0]]
    system, batch = plain(0.75, speech, text, variant="direct_pooled")
    # 3/4 of 5 and 1/4 of 2.
    assert system(batch).embedding.tolist() == [[pytest.approx(4.25)]]
    assert [len(g) for g in system.gates(batch)["speech"].split()] == [1]
    system, batch = plain(0.75, speech, text, variant="direct_interp")
    assert system(batch).embedding.tolist() == [[pytest.approx(4.25)]]
    assert sequences(system.gates(batch)["speech"]) == [[pytest.approx(0.75)] * 4]
    assert system.classifier.in_features == 1


def test_gates_are_those_of_the_forward_pass():
    torch.manual_seed(0)
    system = SingleGate(Stored("speech", 6, 1), Stored("text", 4, 1), 3).eval()
    cached = {"speech": torch.randn(7, 1, 6), "text": torch.randn(4, 1, 4)}
    lengths = {"speech": torch.tensor([5, 2]), "text": torch.tensor([1, 3])}
    batch = Batch(("x", "y"), cached={n: Ragged(v, lengths[n]) for n, v in cached.items()})
    gates, embedding = system.gates(batch), system(batch).embedding
    assert {name: gate.values.shape for name, gate in gates.items()} == {
        "speech": (7, 6),
        "text": (4, 6),
    }
    own = dict(zip(("speech", "text"), system.states(batch), strict=True))
    read = {
        "speech": system.attention(own["speech"], own["text"]).values,
        "text": system.attention(own["text"], own["speech"]).values,
    }
    fused = [
        g.with_values(g.values * own[n].values + (1 - g.values) * read[n]).mean()
        for n, g in gates.items()
    ]
    torch.testing.assert_close(torch.cat(fused, -1), embedding)


@pytest.mark.parametrize("kind", [SingleGate, CmGI])
@pytest.mark.parametrize("norm", [True, False])
def test_without_norm_the_gate_gets_the_states_as_they_come(kind, norm):
    torch.manual_seed(0)
    more = {} if kind is SingleGate else {"heads": 2}
    system = kind(Stored("speech", 6, 1), Stored("text", 4, 1), 3, norm=norm, **more).eval()
    hidden = {"speech": 3 + torch.randn(5, 1, 6), "text": 7 * torch.randn(4, 1, 4)}
    cached = {n: Ragged(v, torch.tensor([len(v)])) for n, v in hidden.items()}
    acoustic, semantic = system.states(Batch(("x",), cached=cached))
    raw = {name: values.squeeze(1) for name, values in hidden.items()}
    assert torch.equal(acoustic.values, raw["speech"]) != norm
    assert torch.equal(semantic.values, system.project(raw["text"])) != norm
    assert any(name.startswith("mix_") for name, _ in system.named_parameters()) == norm


def test_wrong_options_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=r"variant=parallel: expected cross, direct_pooled"):
        SingleGate(Stored("speech", 6, 1), Stored("text", 4, 1), 3, variant="parallel")
    with pytest.raises(InputError, match="direct_pooled has no attention"):
        SingleGate(
            Stored("speech", 6, 1),
            Stored("text", 4, 1),
            3,
            variant="direct_pooled",
            projections=True,
        )
