"""Which frames are left of a clip by each reading of "truncation to 10% length"."""

import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.spectral import mfcc_frames
from sermm.encoders.spectral.mfcc_frames import MfccFrames
from sermm.encoders.spectral.spectra import Spectrum


def batch_of(*seconds):
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(round(16000 * s), generator=generator) for s in seconds]
    return Batch(tuple(f"u{i}" for i in range(len(clips))), waveform=Ragged.pack(clips))


@pytest.mark.parametrize(
    ("truncation", "sizes"),
    [
        # 1 s has 101 frames, 4.44 s 445, 0.1 s 11, nothing one.
        ("none", [101, 445, 11, 1]),
        ("every10", [11, 45, 2, 1]),
        ("head10", [11, 45, 2, 1]),
        # A tenth of 20 s is 2 s: 200 frames.
        ("max10", [101, 200, 11, 1]),
    ],
)
def test_how_many_frames_are_left(truncation, sizes):
    encoder = MfccFrames(truncation=truncation, longest_s=20.0).eval()
    found = encoder(batch_of(1.0, 4.44, 0.1, 0.0))
    assert found.sizes == sizes
    assert found.values.shape == (sum(sizes), 1, 40)
    assert found.values.isfinite().all()


def test_each_tenth_frame_or_the_first_ones_are_kept():
    batch = batch_of(1.0, 0.5)
    frames = Spectrum("mfcc")(batch.waveform)
    by_clip = frames.split()
    # As initialised, the statistics are 0 and 1 (less the small constant under the root).
    for truncation, kept in (
        ("every10", [clip[::10] for clip in by_clip]),
        ("head10", [by_clip[0][:11], by_clip[1][:6]]),
        ("max10", [clip[:20] for clip in by_clip]),
    ):
        found = MfccFrames(truncation=truncation, longest_s=2.0).eval()(batch)
        torch.testing.assert_close(found.values[:, 0], torch.cat(kept), rtol=1e-4, atol=1e-4)


def test_coefficients_are_batch_normalised_as_is_said():
    assert "batch normalisation, without scale and shift" in mfcc_frames.__doc__
    encoder, batch = MfccFrames().train(), batch_of(2.0, 3.0)
    found = encoder(batch).values[:, 0]
    assert found.mean(0).abs().max() < 1e-4
    assert (found.std(0, correction=0) - 1).abs().max() < 1e-2
    # A tenth of the way from 0 to the first batch's mean.
    frames = torch.cat([clip[::10] for clip in Spectrum("mfcc")(batch.waveform).split()])
    torch.testing.assert_close(encoder.norm.running_mean, frames.mean(0) / 10)


def test_positions_have_times_that_follow_from_what_is_kept():
    assert MfccFrames(truncation="every10").frame_s == pytest.approx(0.1)
    assert MfccFrames(truncation="head10").frame_s == pytest.approx(0.01)


def test_an_unknown_truncation_or_length_is_refused(as_in_use):
    with pytest.raises(InputError, match=r"truncation=10%: expected none, every10, head10, max10"):
        MfccFrames(truncation="10%")
    with pytest.raises(InputError, match=r"longest_s=0"):
        MfccFrames(truncation="max10", longest_s=0)
