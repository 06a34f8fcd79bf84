from collections import Counter

import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.layer_mix import LayerMix
from sermm.encoders.modality_dropout import ModalityDropout, lost
from sermm.encoders.normalised import Normalised
from sermm.encoders.stored import Stored

ABSENT = {"speech": torch.tensor([False, True, False]), "text": torch.tensor([True, False, False])}


def batch_of(absent=ABSENT, dtype=torch.float32):
    torch.manual_seed(0)
    pieces = [torch.randn(n, 2, 4).to(dtype) for n in (3, 2, 1)]
    return Batch(("a", "b", "c"), cached={"s": Ragged.pack(pieces)}, absent=absent)


def wrapped(fill="zero", modality="speech", inside=None):
    return ModalityDropout(inside or Stored("s", 4, 2, modality), fill).train()


def test_what_is_lost_is_never_both_and_at_even_odds():
    torch.manual_seed(0)
    absent = lost(20000, 0.1)
    rows = Counter(zip(absent["speech"].tolist(), absent["text"].tolist(), strict=True))
    assert (True, True) not in rows
    # 1000 of 20000 each, with a standard deviation of 31.
    assert abs(rows[True, False] - 1000) < 124
    assert abs(rows[False, True] - 1000) < 124
    torch.manual_seed(0)
    assert torch.equal(lost(20000, 0.1)["text"], absent["text"])
    assert not any(part.any() for part in lost(50, 0.0).values())
    everybody = lost(50, 1.0)
    assert (everybody["speech"] ^ everybody["text"]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_lost_states_are_zeros_and_the_others_stay(dtype):
    batch = batch_of(dtype=dtype)
    whole = batch.cached["s"].split()
    a, b, c = wrapped()(batch).split()
    assert a.dtype == dtype
    assert torch.equal(a, whole[0])
    assert torch.equal(c, whole[2])
    assert b.shape == (2, 2, 4)
    assert (b == 0).all()
    a, b, c = wrapped(modality="text")(batch).split()
    assert (a == 0).all()
    assert torch.equal(b, whole[1])


def test_lost_states_are_the_learned_vector_which_gets_the_gradient():
    part = wrapped("learned")
    assert part.fill.shape == (2, 4)
    found = part(batch_of()).split()
    assert torch.equal(found[1], part.fill.detach().expand(2, 2, 4))
    found[1].sum().backward()
    # Two positions of the one utterance that has lost its speech.
    assert torch.equal(part.fill.grad, torch.full((2, 4), 2.0))
    part.fill.grad = None
    nothing = {"speech": torch.zeros(3, dtype=torch.bool)}
    part(batch_of(nothing)).values.sum().backward()
    assert torch.equal(part.fill.grad, torch.zeros(2, 4))


@pytest.mark.parametrize("fill", ["zero", "learned"])
def test_no_gradient_goes_into_lost_states(fill):
    batch = batch_of()
    batch.cached["s"].values.requires_grad_()
    wrapped(fill)(batch).values.sum().backward()
    expected = torch.tensor([1.0, 1, 1, 0, 0, 1])[:, None, None].expand(6, 2, 4)
    assert torch.equal(batch.cached["s"].values.grad, expected)


def test_in_evaluation_and_without_a_draw_it_does_nothing():
    batch, part = batch_of(), wrapped("learned")
    assert part.eval()(batch) is batch.cached["s"]
    assert part.train()(batch_of({})).values.requires_grad is False


@pytest.mark.parametrize("fill", ["zero", "learned"])
@pytest.mark.parametrize("training", [False, True])
def test_mixed_is_the_mix_of_what_it_gives(fill, training):
    inside = Normalised(Stored("s", 4, 2), "global")
    inside.observe(batch_of())
    part = wrapped(fill, inside=inside).train(training)
    mix = LayerMix(2, 4)
    mix.weight.data = torch.tensor([0.4, 1.3])
    found, expected = part.mixed(batch_of(), mix), mix(part(batch_of()))
    torch.testing.assert_close(found.values, expected.values, rtol=1e-5, atol=1e-5)
    # Zeros are put in place of normalised states, not normalised.
    assert (fill == "zero" and training) == bool((part(batch_of()).split()[1] == 0).all())


def test_it_hands_on_what_the_encoder_says(tmp_path):
    class Speaks(Stored):
        frame_s, pretrained = 0.02, True

        def positions(self, length):
            return length // 320

        def fit(self, transcripts):
            self.said = list(transcripts)

        def save_assets(self, folder):
            folder.mkdir()

    inside = Speaks("s", 4, 2)
    part = wrapped(inside=inside)
    assert (part.frame_s, part.pretrained, part.width, part.n_layers) == (0.02, True, 4, 2)
    assert part.positions(640) == 2
    part.fit(["x"])
    part.save_assets(tmp_path / "assets")
    assert inside.said == ["x"]
    assert (tmp_path / "assets").is_dir()


def test_the_batch_checks_and_moves_what_is_absent():
    with pytest.raises(ValueError, match=r"3 ids, but \{'absent speech': 2\}"):
        batch_of({"speech": torch.tensor([True, False])})
    assert batch_of().to("meta").absent["text"].device.type == "meta"
