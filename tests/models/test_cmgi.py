"""CmGI: sizes, gates, and the loss of its character head; the equations are in tests/parity."""

import math

import pytest
import torch
from torch import nn

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.data.characters import N_CHARACTERS, spelled
from sermm.encoders.base import Encoder
from sermm.models.cmgi import CharacterHead, CmGI, InteractionLayer


class Given(Encoder):
    """Hidden states that the test gives, as `cached`."""

    needs = frozenset({"waveform"})
    n_layers = 1

    def __init__(self, name, width):
        super().__init__()
        self.name, self.width = name, width

    def forward(self, batch):
        return batch.cached[self.name]


def ids(*sequences):
    return Ragged.pack([torch.tensor(s, dtype=torch.int64) for s in sequences])


def cmgi(**options):
    torch.manual_seed(0)
    return CmGI(Given("speech", 8), Given("text", 4), 3, heads=2, **options)


def batch(**more):
    generator = torch.Generator().manual_seed(0)
    cached = {
        name: Ragged.pack([torch.randn(t, 1, d, generator=generator) for t in lengths])
        for name, d, lengths in (("speech", 8, (6, 3)), ("text", 4, (2, 5)))
    }
    return Batch(("x", "y"), cached=cached, **more)


def uneven_head():
    """Blank, a and b with probabilities 0.5, 0.3 and 0.2 in every frame."""
    head = CharacterHead(4, 3)
    nn.init.zeros_(head.linear.weight)
    head.linear.bias.data = torch.tensor([0.5, 0.3, 0.2]).log()
    return head


def test_the_loss_of_the_head_by_hand():
    frames = Ragged(torch.randn(5, 4), torch.tensor([2, 2, 1]))
    # a in two frames: aa, a-, -a; ab: one path; nothing: left out. Three characters in all.
    expected = -(math.log(0.09 + 0.15 + 0.15) + math.log(0.06)) / 3
    loss = uneven_head()(frames, ids([1], [1, 2], []))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


# The second needs three frames too: a blank stands between twins.
@pytest.mark.parametrize(("said", "frames"), [([1, 2, 1], 1), ([1, 1], 2), ([], 9)])
def test_what_frames_cannot_hold_and_what_is_empty_counts_nowhere(said, frames):
    both = Ragged(torch.randn(2 + frames, 4), torch.tensor([2, frames]))
    assert uneven_head()(both, ids([1], said)).item() == pytest.approx(-math.log(0.39), abs=1e-6)
    alone = uneven_head()(Ragged(torch.randn(frames, 4), torch.tensor([frames])), ids(said))
    assert alone.item() == 0


def test_short_and_empty_transcripts_do_not_swamp_the_loss_of_emotion():
    torch.manual_seed(0)
    head, clip = CharacterHead(32, N_CHARACTERS), torch.randn(225, 32)
    long = torch.randint(3, N_CHARACTERS, (56,)).tolist()

    def weighed(*said):
        frames = Ragged.pack([clip] * len(said))
        return 0.1 * head(frames, ids(*said)).item()

    # Untrained, lambda x loss of this clip is 1.2; cross-entropy of four classes is 1.39.
    usual = weighed(*[long] * 8)
    assert 0.9 < usual < 1.5
    assert weighed([]) == 0
    assert weighed(*[long] * 7, []) == pytest.approx(usual)
    assert usual < weighed(*[long] * 7, [10, 17]) < 1.25 * usual


@pytest.mark.parametrize("wrong", [0, 3])
def test_characters_outside_of_the_alphabet_are_refused(wrong):
    with pytest.raises(InputError, match="expected 1 to 2: see"):
        uneven_head()(Ragged(torch.randn(2, 4), torch.tensor([2])), ids([1, wrong]))


def test_the_head_learns_in_training_only_and_lambda_weighs_it():
    whole, tenth = (cmgi(asr_loss=weight) for weight in (1.0, 0.1))
    written = batch(characters=ids([1, 2], [2]))
    whole_loss, loss = whole.train()(written).losses["ctc"], tenth.train()(written).losses["ctc"]
    assert loss.item() == pytest.approx(0.1 * whole_loss.item(), rel=1e-5)
    loss.backward()
    assert tenth.characters.linear.weight.grad.abs().sum() > 0
    assert not tenth.eval()(written).losses
    # Predicting, nobody knows what was said.
    assert tenth(batch()).logits.isfinite().all()


@pytest.mark.parametrize("said", [("don't", ""), ("", ""), ("no" * 40, "7")])
def test_empty_and_overlong_transcripts_give_finite_losses(said):
    system = cmgi().train()
    output = system(batch(characters=ids(*map(spelled, said))))
    (output.logits.sum() + output.losses["ctc"]).backward()
    assert output.losses["ctc"].isfinite()
    assert all(p.grad.isfinite().all() for p in system.parameters())


def test_the_head_asks_for_characters():
    assert cmgi().needs == {"waveform", "characters"}
    assert cmgi().characters.linear.out_features == N_CHARACTERS
    assert cmgi(asr_loss=None).needs == {"waveform"}
    assert not cmgi(asr_loss=None).train()(batch()).losses
    with pytest.raises(InputError, match=r"asr_loss=0.1 needs the characters .* batch of x"):
        cmgi().train()(batch())


def test_gates_are_by_stream_position_and_channel():
    system = cmgi(n_layers=2).eval()
    gates = system.gates(batch())
    assert gates["speech"].values.shape == (9, 8)
    assert gates["text"].sizes == [2, 5]
    for gate in gates.values():
        assert 0 < gate.values.min() <= gate.values.max() < 1


def test_padding_takes_part_only_if_literal():
    masked = cmgi().eval()
    literal = cmgi(literal=True).eval()
    assert masked.gates(batch())["speech"].sizes == [6, 3]
    assert literal.gates(batch())["speech"].sizes == [6, 6]
    assert (masked(batch()).embedding - literal(batch()).embedding).abs().max() > 1e-3


def test_the_head_hears_no_padding():
    # The frames of literal are those of the clips for speech recognition all the same.
    written = batch(characters=ids([1, 2], [2]))
    losses = [
        cmgi(asr_loss=1.0, literal=literal).train()(written).losses["ctc"].item()
        for literal in (False, True)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_sizes():
    # Of 1024: four attentions with biases, four norms, two gates without.
    with torch.device("meta"):
        layer = InteractionLayer(1024, 8, 0.1)
    expected = 4 * 4 * (1024**2 + 1024) + 4 * 2 * 1024 + 2 * 2 * 1024**2
    assert sum(p.numel() for p in layer.parameters()) == expected == 20_996_096
    assert len(cmgi(n_layers=3).layers) == 3


def test_wrong_options_are_refused():
    with pytest.raises(InputError, match="n_layers=0: expected 1 or more"):
        cmgi(n_layers=0)
    with pytest.raises(InputError, match="heads=3 cannot share states of size 8"):
        CmGI(Given("speech", 8), Given("text", 4), 3, heads=3)
