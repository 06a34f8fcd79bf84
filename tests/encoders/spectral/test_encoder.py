"""The trained speech encoder: exact whatever the batch, and the same for the same seed."""

import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.recurrent import BiLSTM
from sermm.encoders.spectral.encoder import RaggedNorm, SpectralEncoder, StridedConv, thinned
from sermm.encoders.spectral.perturb import change_speed, mask_features, mask_frames
from sermm.encoders.spectral.spectra import deltas

SAMPLES = (9000, 16000, 300, 0, 24001)


def clips():
    generator = torch.Generator().manual_seed(0)
    return [0.1 * torch.randn(s, generator=generator) for s in SAMPLES]


def batch_of(*waveforms):
    ids = tuple(f"u{i}" for i in range(len(waveforms)))
    return Batch(ids, waveform=Ragged.pack(list(waveforms)))


VARIANTS = {
    "default": {},
    "logmel": {"kind": "logmel", "n_mels": 40},
    "source": {
        "deltas": False,
        "centred": False,
        "pitch": False,
        "channels": 0,
        "stride": 1,
        "augment": False,
    },
    "deep": {"n_rnn_layers": 2, "stride": 3, "trim_db": None},
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def encoder(request):
    torch.manual_seed(0)
    encoder = SpectralEncoder(hidden=16, **request.param)
    encoder(batch_of(*clips()))
    return encoder.eval()


def test_shapes():
    encoder = SpectralEncoder(hidden=16, stride=4, trim_db=None).eval()
    states = encoder(batch_of(*clips()))
    assert (encoder.width, encoder.n_layers) == (32, 1)
    # A frame each 160 samples and one more, every fourth: ceil((1 + s // 160) / 4).
    assert states.sizes == [15, 26, 1, 1, 38]
    assert states.values.shape == (81, 1, 32)
    assert states.values.isfinite().all()


def test_features_by_name():
    encoder = SpectralEncoder(n_mfcc=5, trim_db=None)
    waveform = Ragged.pack(clips()[:2])
    features = encoder.features(waveform)
    spectrum, centred, slopes, pitch = features.values.split([5, 5, 5, 2], -1)
    torch.testing.assert_close(spectrum, encoder.features.spectrum(waveform).values)
    first, second = features.with_values(spectrum).split()
    expected = torch.cat([first - first.mean(0), second - second.mean(0)])
    torch.testing.assert_close(centred, expected)
    torch.testing.assert_close(slopes, deltas(features.with_values(spectrum)).values)
    torch.testing.assert_close(pitch, encoder.features.pitch(waveform).values)


@torch.no_grad()
def test_a_clip_alone_in_a_batch_and_in_any_order(encoder):
    together = encoder(batch_of(*clips())).split()
    for clip, states in zip(clips(), together, strict=True):
        (alone,) = encoder(batch_of(clip)).split()
        torch.testing.assert_close(alone, states, rtol=1e-4, atol=1e-6)
    for states, backwards in zip(
        together, encoder(batch_of(*reversed(clips()))).split()[::-1], strict=True
    ):
        torch.testing.assert_close(backwards, states, rtol=1e-4, atol=1e-6)


def test_evaluation_learns_nothing(encoder):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    first = encoder(batch_of(*clips())).values
    torch.testing.assert_close(encoder(batch_of(*clips())).values, first, rtol=0, atol=0)
    torch.testing.assert_close(encoder.state_dict(), before, rtol=0, atol=0)


def test_every_parameter_gets_a_gradient(encoder):
    states = encoder.train()(batch_of(*clips())).values
    states.mul(torch.arange(states.shape[-1])).sum().backward()
    assert not [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]


def test_training_is_the_same_for_the_same_seed(encoder):
    def gradients():
        torch.manual_seed(3)
        encoder.zero_grad()
        encoder.train()(batch_of(*clips())).values.square().sum().backward()
        return [p.grad.clone() for p in encoder.parameters()]

    torch.testing.assert_close(gradients(), gradients(), rtol=0, atol=0)


def test_training_on_a_single_empty_clip_is_finite(encoder):
    states = encoder.train()(batch_of(torch.zeros(0))).values
    states.sum().backward()
    assert states.isfinite().all()


def test_statistics_are_those_of_the_training_frames():
    norm = RaggedNorm(2, affine=False, momentum=1.0)
    values = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    torch.testing.assert_close(
        norm(values), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=1e-4, rtol=0
    )
    assert norm.running_mean.tolist() == [2.0, 20.0]
    # A lone position is measured by what was seen before: (4 - 2) / sqrt(2).
    lone = norm(torch.tensor([[4.0, 20.0]]))
    torch.testing.assert_close(lone, torch.tensor([[2 / 2**0.5, 0.0]]), atol=1e-4, rtol=0)
    assert norm.running_mean.tolist() == [2.0, 20.0]


def test_bilstm_equals_the_packed_one():
    torch.manual_seed(0)
    ours, theirs = BiLSTM(3, 4, 2), torch.nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)
    for level in range(2):
        for side, suffix in ((ours.rightward, ""), (ours.leftward, "_reverse")):
            for name, parameter in side[level].named_parameters():
                own = getattr(theirs, name.replace("l0", f"l{level}") + suffix)
                parameter.data.copy_(own.data)
    sequences = Ragged(torch.randn(10, 3), torch.tensor([3, 1, 6]))
    packed = torch.nn.utils.rnn.pack_sequence(sequences.split(), enforce_sorted=False)
    expected, lengths = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], True)
    found = ours(sequences)
    assert found.sizes == lengths.tolist()
    torch.testing.assert_close(found.padded()[0], expected, rtol=1e-5, atol=1e-6)


def test_strided_convolution_by_hand():
    conv = StridedConv(1, 1, 2, 0.0).eval()
    conv.conv.weight.data = torch.tensor([[[1.0, 10.0, 100.0, 1000.0, 10000.0]]])
    frames = Ragged(torch.tensor([[1.0], [2.0], [3.0], [7.0]]), torch.tensor([3, 1]))
    found = conv(frames)
    assert found.sizes == [2, 1]
    # Centred on frames 0 and 2 of the first clip and on the lone one of the second.
    expected = torch.tensor([[32100.0], [321.0], [700.0]])
    torch.testing.assert_close(found.values, expected, rtol=1e-4, atol=0)


def test_thinned_by_hand():
    frames = Ragged(torch.arange(7.0)[:, None], torch.tensor([5, 0, 2]))
    found = thinned(frames, 2)
    assert found.sizes == [3, 0, 1]
    assert found.values.flatten().tolist() == [0, 2, 4, 5]


def test_speed_changes_the_length_within_bounds_and_the_pitch_with_it():
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 1000)
    found = change_speed(Ragged.pack([ramp] * 50 + [ramp[:0]]), 0.12)
    assert found.sizes[-1] == 0
    assert min(found.sizes[:-1]) >= round(1000 / 1.12)
    assert max(found.sizes) <= round(1000 / 0.88)
    assert len(set(found.sizes)) > 20
    ends = torch.stack([clip[[0, -1]] for clip in found.split()[:-1]])
    torch.testing.assert_close(ends, torch.tensor([[0.0, 1.0]]).expand(50, 2), rtol=0, atol=1e-3)


def test_masks_are_stretches_and_whole_features():
    torch.manual_seed(0)
    ones = Ragged(torch.ones(200, 50), torch.tensor([100, 3, 97]))
    frames = mask_frames(ones, 30).values.T
    assert (frames == frames[0]).all()
    silent = torch.split(frames[0] == 0, ones.sizes)
    # Two stretches of up to a quarter of a clip; three frames have no quarter.
    assert [int(s.sum()) <= 50 for s in silent] == [True] * 3
    assert not silent[1].any()
    assert (frames[0] == 0).any()
    features = mask_features(ones, 0.3).values.split(ones.sizes)
    assert all((clip == clip[0]).all() for clip in features)
    share = torch.stack([clip[0] for clip in features]).mean()
    assert 0.5 < share < 0.9


def test_wrong_use():
    with pytest.raises(InputError, match="kind"):
        SpectralEncoder(kind="cepstrum")
    with pytest.raises(ValueError, match="no waveform"):
        SpectralEncoder()(Batch(("a",)))
