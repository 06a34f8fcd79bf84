import numpy as np
import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.layer_mix import LayerMix
from sermm.encoders.normalised import Moments, Normalised
from sermm.encoders.stored import Stored


def batch_of(*pieces, speakers=()):
    hidden = Ragged.pack([torch.tensor(p, dtype=torch.float32) for p in pieces])
    return Batch(
        tuple(f"u{i}" for i in range(len(pieces))), cached={"speech": hidden}, speakers=speakers
    )


def values(n, seed):
    return np.random.default_rng(seed).normal(3, 2, (n, 2, 3))


def normalised(over):
    return Normalised(Stored("speech", 3, 2), over)


def test_moments_in_pieces_are_those_of_the_whole():
    pieces = [values(n, n) for n in (5, 1, 40)]
    moments = Moments()
    for piece in pieces:
        moments.add(torch.tensor(piece))
    moments.add(torch.zeros(0, 2, 3))
    whole = np.concatenate(pieces)
    np.testing.assert_allclose(moments.mean, whole.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.deviation, whole.std(0), rtol=1e-5)


def test_moments_of_large_values_keep_their_digits():
    moments = Moments()
    moments.add(torch.tensor([[[1e4]], [[1e4 + 1]]]))
    moments.add(torch.tensor([[[1e4 + 2]]]))
    assert moments.deviation.item() == pytest.approx(np.sqrt(2 / 3), rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_moments_are_those_in_float64(dtype):
    rng = torch.Generator().manual_seed(0)
    # Each piece about another mean, one of them of more positions than are taken at a time.
    pieces = [(torch.randn(n, 2, 3, generator=rng) * 2 + n / 99).to(dtype) for n in (1500, 3, 400)]
    moments = Moments()
    for piece in pieces:
        moments.add(piece)
    whole = torch.cat(pieces).double()
    np.testing.assert_allclose(moments.mean, whole.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moments.deviation, whole.std(0, correction=0), rtol=1e-6)


def test_global_statistics_are_those_of_what_was_observed_only():
    train, test = [values(9, 1), values(4, 2)], values(5, 3) + 7
    part = normalised("global")
    part.observe(batch_of(*train))
    whole = np.concatenate(train)
    expected = (test - whole.mean(0)) / whole.std(0)
    np.testing.assert_allclose(part(batch_of(test)).values, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(part.state_dict()["mean"], whole.mean(0), rtol=1e-5)


def test_observing_anew_forgets():
    part = normalised("global")
    part.observe(batch_of(values(9, 1) + 100))
    part.forget()
    part.observe(batch_of(values(9, 1)))
    np.testing.assert_allclose(part.mean, values(9, 1).mean(0), rtol=1e-5)


def test_an_utterance_by_itself():
    part = normalised("utterance")
    assert not part.observes
    found = part(batch_of(values(6, 1), values(1, 2))).split()
    np.testing.assert_allclose(found[0].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found[0].std(0, correction=0), 1, rtol=1e-4)
    assert (found[1] == 0).all()
    assert part(batch_of(values(6, 1), np.zeros((0, 2, 3)))).sizes == [6, 0]


def test_talkers_apart():
    part = normalised("talker")
    anna, ben = [values(9, 1), values(4, 2)], values(5, 3) * 10 + 7
    batch = batch_of(anna[0], ben, anna[1], speakers=("anna", "ben", "anna"))
    part.observe(batch)
    found = part(batch).split()
    whole = np.concatenate(anna)
    np.testing.assert_allclose(
        found[2], (anna[1] - whole.mean(0)) / whole.std(0), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(found[1], (ben - ben.mean(0)) / ben.std(0), rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="nothing was observed of talker 'carl'"):
        part(batch_of(ben, speakers=("carl",)))


def test_a_dimension_that_never_varies_is_only_centred():
    part = normalised("global")
    part.observe(batch_of(np.full((4, 2, 3), 5.0)))
    assert (part(batch_of(np.full((2, 2, 3), 7.0))).values == 2.0).all()


def test_a_batch_without_the_stream():
    with pytest.raises(InputError, match="no stored stream 'speech'"):
        Stored("speech", 3, 2)(Batch(("a",)))


def test_half_precision_is_normalised_in_float32():
    hidden = Ragged.pack([torch.ones(2, 2, 3, dtype=torch.bfloat16)])
    batch = Batch(("a",), cached={"speech": hidden})
    assert Stored("speech", 3, 2)(batch).values.dtype == torch.bfloat16
    assert normalised("global")(batch).values.dtype == torch.float32


@pytest.mark.parametrize("over", ["global", "utterance", "talker"])
@pytest.mark.parametrize("layers", [1, 2])
def test_mixed_is_the_mix_of_the_normalised_states(over, layers):
    part = Normalised(Stored("speech", 3, layers), over)
    batch = batch_of(*(values(n, n)[:, :layers] for n in (9, 4, 30)), speakers=("a", "b", "a"))
    if part.observes:
        part.observe(batch)
    mix = LayerMix(layers, 3)
    if layers > 1:
        mix.weight.data = torch.tensor([0.4, 1.3])
    found, expected = part.mixed(batch, mix), mix(part(batch))
    assert found.sizes == [9, 4, 30]
    torch.testing.assert_close(found.values, expected.values, rtol=1e-5, atol=1e-5)


def test_global_statistics_are_mixed_in_without_a_copy_of_the_states(monkeypatch):
    part = normalised("global")
    batch = batch_of(values(9, 1))
    part.observe(batch)
    monkeypatch.setattr(part, "forward", None)
    assert part.mixed(batch, LayerMix(2, 3)).values.shape == (9, 3)
