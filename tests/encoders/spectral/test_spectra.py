"""Frames, mel bands, cepstra and pitch against torchaudio and against sums done by hand."""

import math

import pytest
import torch
from torchaudio.transforms import MFCC, MelSpectrogram

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.spectral.spectra import Pitch, Spectrum, deltas, framed, trimmed

MEL = {"n_fft": 512, "win_length": 400, "hop_length": 160, "f_min": 20.0, "pad_mode": "constant"}


def noise(samples, seed=0):
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def tone(hz, samples=16000):
    t = torch.arange(samples) / 16000
    return sum(0.1 / k * torch.sin(2 * math.pi * k * hz * t) for k in (1, 2, 3, 4))


def test_frames_are_centred_and_padded_with_silence():
    frames = framed(Ragged.pack([torch.arange(1.0, 6.0), torch.tensor([9.0])]), 4, 2)
    assert frames.sizes == [3, 1]
    expected = [[0, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 0], [0, 0, 9, 0]]
    assert frames.values.tolist() == expected


def test_mfcc_equals_torchaudio():
    clip = noise(12345)
    theirs = MFCC(n_mfcc=40, log_mels=True, melkwargs={**MEL, "n_mels": 64})(clip).T
    ours = Spectrum("mfcc", 64, 40)(Ragged.pack([noise(700, 1), clip])).split()[1]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_logmel_equals_torchaudio():
    clip = noise(8000)
    theirs = (MelSpectrogram(n_mels=40, **MEL)(clip).T + 1e-6).log()
    ours = Spectrum("logmel", 40)(Ragged.pack([clip])).values
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("hz", [80, 120, 200, 330])
def test_pitch_of_a_voice_like_tone(hz):
    voicing, pitch = Pitch()(Ragged.pack([tone(hz)])).values[10:-10].unbind(-1)
    assert voicing.min() > 0.9
    octaves = pitch / voicing
    # One lag at 8 kHz is 4 % at 330 Hz, 0.06 octaves.
    torch.testing.assert_close(
        octaves, torch.full_like(octaves, math.log2(hz / 100)), rtol=0, atol=0.06
    )


def test_silence_has_no_pitch_and_noise_little():
    pitch = Pitch()
    assert pitch(Ragged.pack([torch.zeros(1600)])).values.abs().max() == 0
    assert pitch(Ragged.pack([noise(16000)])).values[:, 0].mean() < 0.5


@pytest.mark.parametrize("samples", [0, 1, 2, 159, 160, 161, 319, 320, 321])
def test_pitch_and_spectrum_have_the_same_frames(samples):
    clip = Ragged.pack([noise(samples)])
    assert Pitch()(clip).sizes == Spectrum("mfcc")(clip).sizes == [1 + samples // 160]


def test_deltas_by_hand_within_each_clip():
    frames = Ragged.pack([torch.tensor([[0.0], [1.0], [4.0], [9.0]]), torch.tensor([[7.0]])])
    # (1 + 2 * 4) / 10, (4 + 2 * 9) / 10, (8 + 2 * 9) / 10, (5 + 2 * 8) / 10; a lone frame has none.
    expected = torch.tensor([0.9, 2.2, 2.6, 2.1, 0.0])
    torch.testing.assert_close(deltas(frames).values.flatten(), expected)


def test_silence_is_cut_off_the_ends_only():
    quiet = 1e-4 * torch.ones(1600)
    clip = torch.cat([quiet, torch.ones(800), quiet, torch.ones(800), quiet])
    (found,) = trimmed(Ragged.pack([clip]), 30.0).split()
    # 400-sample stretches start at multiples of 160; the first that reaches 1600 starts at 1280,
    # the last that reaches before 4800 at 4640 (160 loud samples are 4 dB under the loudest).
    torch.testing.assert_close(found, clip[1280 : 4640 + 400])


@pytest.mark.parametrize("clip", [torch.zeros(0), torch.ones(399), torch.zeros(5000)])
def test_nothing_is_cut_off_short_or_silent_clips(clip):
    assert trimmed(Ragged.pack([clip]), 30.0).sizes == [len(clip)]


def test_wrong_arguments():
    with pytest.raises(InputError, match="plp"):
        Spectrum("plp")
    with pytest.raises(InputError, match="n_mfcc=40 exceeds n_mels=20"):
        Spectrum("mfcc", 20, 40)
