"""Variations of speech for training: they draw from torch's global generator."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sermm.core.ragged import Ragged


def uniform(n: int, low: float, high: float) -> list[float]:
    """Draws n numbers between `low` and `high`, on the CPU whatever the device of the data."""
    return [float(x) for x in torch.empty(n).uniform_(low, high).tolist()]


def change_speed(waveform: Ragged, most: float) -> Ragged:
    """Plays each clip up to the share `most` faster or slower; pitch and formants move along.

    Linear interpolation: it dulls the highest frequencies a little, and costs next to nothing.
    """
    factors = uniform(len(waveform), 1 - most, 1 + most)
    clips = zip(waveform.split(), factors, strict=True)
    return Ragged.pack([_stretched(clip, round(len(clip) / factor)) for clip, factor in clips])


def _stretched(clip: Float[Tensor, " s"], samples: int) -> Float[Tensor, " r"]:
    if samples == 0:
        return clip
    return F.interpolate(clip[None, None], size=samples, mode="linear")[0, 0]


def mask_frames(frames: Ragged, most: int, times: int = 2) -> Ragged:
    """Zeroes `times` stretches of up to `most` frames, and a quarter, of each clip `[m d]`.

    Source: time masking of SpecAugment (Park 2019) on features whose mean is zero.
    """
    keep = torch.ones(len(frames.values), 1)
    for clip in torch.split(keep, frames.sizes):
        for share, place in zip(uniform(times, 0.0, 1.0), uniform(times, 0.0, 1.0), strict=True):
            width = int(share * min(most, len(clip) // 4))
            start = int(place * (len(clip) - width))
            clip[start : start + width] = 0
    return frames.with_values(frames.values * keep.to(frames.values.device))


def mask_features(frames: Ragged, share: float) -> Ragged:
    """Zeroes each feature of each clip `[m d]` with probability `share`, over the whole clip."""
    keep = (torch.rand(len(frames), frames.values.shape[1]) >= share).to(frames.values)
    return frames.with_values(frames.values * frames.repeat(keep))
