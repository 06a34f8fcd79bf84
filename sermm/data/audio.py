"""Audio decoding: any file that libsndfile reads becomes 16 kHz mono, or one clear error."""

import hashlib
import sys
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.data.audio_errors import AudioError
from sermm.data.audio_files import opened
from sermm.data.audio_flaws import Flaw, Levels

__all__ = [
    "SAMPLE_RATE_HZ",
    "AudioError",
    "Heard",
    "Measured",
    "hear",
    "load",
    "measure",
    "resampler",
]

SAMPLE_RATE_HZ: Final = 16_000
_LARGEST_STEP: Final = 1000


def load(
    path: Path,
    start_s: float | None = None,
    end_s: float | None = None,
    max_seconds: float | None = None,
) -> Float[Tensor, " t"]:
    """Decodes a span of a file to 16 kHz mono float32; only the span is read.

    Channels are averaged. Full scale is -1..1. The sampling rate is changed by windowed sinc
    interpolation; a rate with no small ratio to 16 kHz is taken as the nearest one that has
    (off by 0.05 % at most).

    Args:
        path: the audio file; its content decides the format, not its name.
        start_s: seconds from the file's start; None = the start.
        end_s: seconds from the file's start; None = the end.
        max_seconds: what lies further than this from the start of the span is cut.

    Raises:
        AudioError: the file or the span cannot be used.
    """
    with opened(path) as file:
        blocks = [_mono(block, path) for block in file.span(start_s, end_s, max_seconds)]
        return _at_16_khz(blocks, file.rate_hz)


class Measured(NamedTuple):
    """What a span of a file holds.

    Attributes:
        seconds: its length.
        digest: of its samples (mono, as decoded) and their rate: the same sound in another file
            has the same.
        flaws: what is wrong with its levels.
    """

    seconds: float
    digest: str
    flaws: tuple[Flaw, ...] = ()


def measure(path: Path, start_s: float | None = None, end_s: float | None = None) -> Measured:
    """Decodes a span block by block and throws it away.

    Raises:
        AudioError: the file or the span cannot be used.
    """
    with opened(path) as file:
        state = hashlib.sha256(str(file.rate_hz).encode())
        levels, frames = Levels(), 0
        for block in file.span(start_s, end_s):
            mono = _mono(block, path)
            levels.add(block, mono)
            state.update(mono.data)
            frames += len(mono)
        return Measured(frames / file.rate_hz, state.hexdigest(), levels.flaws(path))


class Heard(NamedTuple):
    """What a system hears of a whole file.

    Attributes:
        waveform: 16 kHz, mono, up to where it is cut.
        seconds: length of the file.
        used_seconds: of what is heard of it.
        flaws: what is wrong with the levels of that.
    """

    waveform: Float[Tensor, " t"]
    seconds: float
    used_seconds: float
    flaws: tuple[Flaw, ...]


def hear(path: Path, max_seconds: float | None) -> Heard:
    """Decodes a file to its end and keeps the first seconds, as `load` does.

    Args:
        path: the file.
        max_seconds: what lies further from its start is cut; None: nothing is.

    Raises:
        AudioError: the file cannot be used.
    """
    with opened(path) as file:
        left = sys.maxsize if max_seconds is None else round(max_seconds * file.rate_hz)
        levels, frames, kept = Levels(), 0, []
        for block in file.span():
            mono = _mono(block, path)
            frames += len(mono)
            if left > 0:
                kept.append(mono[:left])
                levels.add(block[:left], kept[-1])
                left -= len(kept[-1])
        used = sum(len(mono) for mono in kept)
        waveform = _at_16_khz(kept, file.rate_hz)
        seconds, used_seconds = frames / file.rate_hz, used / file.rate_hz
        return Heard(waveform, seconds, used_seconds, levels.flaws(path))


@lru_cache(maxsize=16)
def resampler(rate_hz: int) -> nn.Module:
    """The module that takes samples at `rate_hz` to 16 kHz; its filter is made once."""
    from torchaudio.transforms import Resample

    # torchaudio's filter has orig x new taps after division by the common factor: gigabytes for
    # 44,101 Hz. All usual rates (8 to 192 kHz, 11,025 x n) are below the limit, hence exact.
    step = Fraction(rate_hz, SAMPLE_RATE_HZ).limit_denominator(_LARGEST_STEP)
    module: nn.Module = Resample(max(1, step.numerator), step.denominator)
    return module


def _at_16_khz(blocks: list[Float[np.ndarray, " _"]], rate_hz: int) -> Float[Tensor, " t"]:
    samples = torch.from_numpy(blocks[0] if len(blocks) == 1 else np.concatenate(blocks))
    return samples if rate_hz == SAMPLE_RATE_HZ else resampler(rate_hz)(samples)


def _mono(block: Float[np.ndarray, "n c"], path: Path) -> Float[np.ndarray, " n"]:
    """The average of the channels."""
    mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        bad = int((~np.isfinite(mono)).sum())
        raise AudioError(
            f"{path}: {bad} samples are NaN or infinite; export it again", "not_finite"
        )
    result: Float[np.ndarray, " n"] = np.ascontiguousarray(mono)
    return result
