"""Audio decoding: any file that libsndfile reads becomes 16 kHz mono, or one clear error."""

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.errors import InputError

SAMPLE_RATE_HZ: Final = 16_000
# Times in label files are rounded, so a span may end this much after the file does.
ROUNDING_S: Final = 0.05

Kind = Literal[
    "missing_file", "unreadable", "not_audio", "truncated", "empty", "not_finite", "span_outside"
]

# Programs that write into a pipe promise about 2 or 4 GiB because they cannot know the size.
_UNKNOWN_SIZE: Final = 0x7FFF_F000
_BYTE_ORDER: Final = {b"RIFF": "<", b"RIFX": ">", b"FORM": ">"}
_LARGEST_STEP: Final = 1000
_BLOCK_S: Final = 30


class AudioError(InputError):
    """A file, or a span of it, that cannot be used; `kind` says why in one word."""

    # A message alone must do: DataLoader workers hand an error over as its type and its message.
    def __init__(self, message: str, kind: Kind = "not_audio") -> None:
        super().__init__(message)
        self.kind: Kind = kind


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
    with _opened(path) as file:
        count = _seek(file, path, start_s, end_s)
        if max_seconds is not None:
            count = min(count, round(max_seconds * file.samplerate))
        samples = torch.from_numpy(_read(file, path, count))
        rate_hz: int = file.samplerate
    return samples if rate_hz == SAMPLE_RATE_HZ else resampler(rate_hz)(samples)


class Measured(NamedTuple):
    """What a span of a file holds.

    Attributes:
        seconds: its length.
        digest: of its samples (mono, as decoded) and their rate: the same sound in another file
            has the same.
    """

    seconds: float
    digest: str


def measure(path: Path, start_s: float | None = None, end_s: float | None = None) -> Measured:
    """Decodes a span block by block and throws it away.

    Raises:
        AudioError: the file or the span cannot be used.
    """
    with _opened(path) as file:
        count = _seek(file, path, start_s, end_s)
        block = _BLOCK_S * file.samplerate
        state = hashlib.sha256(str(file.samplerate).encode())
        for done in range(0, count, block):
            state.update(_read(file, path, min(block, count - done)).data)
        return Measured(float(count / file.samplerate), state.hexdigest())


@lru_cache(maxsize=16)
def resampler(rate_hz: int) -> nn.Module:
    """The module that takes samples at `rate_hz` to 16 kHz; its filter is made once."""
    from torchaudio.transforms import Resample

    # torchaudio's filter has orig x new taps after division by the common factor: gigabytes for
    # 44,101 Hz. All usual rates (8 to 192 kHz, 11,025 x n) are below the limit, hence exact.
    step = Fraction(rate_hz, SAMPLE_RATE_HZ).limit_denominator(_LARGEST_STEP)
    module: nn.Module = Resample(max(1, step.numerator), step.denominator)
    return module


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, open for decoding, with at least one frame."""
    try:
        with path.open("rb") as raw:
            _refuse_truncated(raw, path)
    except FileNotFoundError as error:
        message = f"{path}: no such audio file; check the corpus root or the path column"
        raise AudioError(message, "missing_file") from error
    except OSError as error:
        message = f"{path}: the audio file cannot be read ({error.strerror}); check its permissions"
        raise AudioError(message, "unreadable") from error
    try:
        file = soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError as error:
        message = (
            f"{path}: not an audio file that libsndfile can decode ({error.error_string}); "
            "convert it to WAV or FLAC"
        )
        raise AudioError(message, "not_audio") from error
    with file:
        if file.frames == 0:
            raise AudioError(f"{path}: 0 samples; record it again or leave it out", "empty")
        yield file


def _refuse_truncated(raw: BinaryIO, path: Path) -> None:
    """Compares what a WAV or AIFF header promises with the file: libsndfile just reads less."""
    size = raw.seek(0, 2)
    raw.seek(0)
    if size == 0:
        raise AudioError(f"{path}: an empty file (0 bytes); copy it again", "empty")
    order = _BYTE_ORDER.get(raw.read(12)[:4])
    if order is None:
        return
    while len(header := raw.read(8)) == 8:
        name, length = struct.unpack(f"{order}4sI", header)
        if name in (b"data", b"SSND"):
            held = size - raw.tell()
            if held < length < _UNKNOWN_SIZE:
                raise _truncated(path, f"{held} of {length} bytes of samples")
            return
        raw.seek(length + length % 2, 1)


def _truncated(path: Path, what: str) -> AudioError:
    return AudioError(f"{path}: the file is cut short, it holds {what}; copy it again", "truncated")


def _seek(file: Any, path: Path, start_s: float | None, end_s: float | None) -> int:
    """Goes to the first frame of the span; gives the number of its frames."""
    rate_hz, frames = file.samplerate, file.frames
    first = 0 if start_s is None else round(start_s * rate_hz)
    last = frames if end_s is None else round(end_s * rate_hz)
    if not 0 <= first < min(last, frames) or last > frames + ROUNDING_S * rate_hz:
        end = "the end" if end_s is None else f"{end_s:g} s"
        raise AudioError(
            f"{path}: the span from {start_s or 0:g} s to {end} does not lie in the file, which "
            f"lasts {frames / rate_hz:.3f} s; correct start_s and end_s",
            "span_outside",
        )
    try:
        file.seek(first)
    except soundfile.LibsndfileError as error:
        raise _truncated(path, f"damaged frames ({error.error_string})") from error
    return int(min(last, frames) - first)


def _read(file: Any, path: Path, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Reads `count` frames and averages the channels."""
    try:
        samples = file.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _truncated(path, f"damaged frames ({error.error_string})") from error
    if len(samples) < count:
        raise _truncated(path, f"{len(samples)} of {count} frames")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        bad = int((~np.isfinite(mono)).sum())
        raise AudioError(
            f"{path}: {bad} samples are NaN or infinite; export it again", "not_finite"
        )
    result: np.ndarray[Any, np.dtype[np.float32]] = np.ascontiguousarray(mono)
    return result
