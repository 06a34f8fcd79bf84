"""Noise under speech, white or from files, at a signal-to-noise ratio."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sermm.core.errors import InputError
from sermm.data.audio import SAMPLE_RATE_HZ, AudioError, load
from sermm.data.audio_files import opened
from sermm.data.augment.kinds import Variation

_SUFFIXES: Final = frozenset({".wav", ".flac", ".ogg", ".mp3"})
# No less is read of a file: of a few samples of speech nothing may be left at its sampling rate.
_LEAST_S: Final = 0.1


@dataclass(frozen=True)
class Noise(Variation):
    """Adds noise n to the speech x: x + a n with a^2 = |x|^2 / |n|^2 / 10^(SNR / 10).

    The energies are those of the whole clip, its silences included.

    Attributes:
        snr_db: range of the SNR.
        files: recordings to take stretches from, one after the other where they are shorter than
            the speech; none: white noise.
    """

    snr_db: tuple[float, float]
    files: tuple[Path, ...] = ()

    @classmethod
    def of(cls, p: float, snr_db: tuple[float, float], root: str | None) -> "Noise":
        """Noise from a folder of recordings, white without one.

        Raises:
            InputError: the folder holds none.
        """
        return cls(p, snr_db, () if root is None else recordings(Path(root)))

    def vary(self, waveform: Float[Tensor, " t"], draw: np.random.Generator) -> Float[Tensor, " t"]:
        """The speech with noise; silence stays silent, and silent noise changes nothing."""
        snr_db = draw.uniform(*self.snr_db)
        noise = self._noise(len(waveform), draw)
        energy = float(noise.square().sum())
        if energy == 0:
            return waveform
        ratio = float(waveform.square().sum()) / energy
        return waveform + float(np.sqrt(ratio) * 10 ** (-snr_db / 20)) * noise

    def _noise(self, n: int, draw: np.random.Generator) -> Float[Tensor, " {n}"]:
        if not self.files:
            return torch.from_numpy(draw.standard_normal(n, dtype=np.float32))
        path = self.files[int(draw.integers(len(self.files)))]
        whole_s, wanted_s = length_s(path), max(_LEAST_S, n / SAMPLE_RATE_HZ)
        start_s = float(draw.uniform(0, max(0.0, whole_s - wanted_s)))
        stretch = load(path, start_s, min(whole_s, start_s + wanted_s))
        return stretch.repeat(-(-n // len(stretch)))[:n]


def recordings(root: Path) -> tuple[Path, ...]:
    """All recordings in a folder and below it, in an order that any machine gives them.

    Raises:
        InputError: there are none.
    """
    found = [path for path in root.rglob("*") if path.suffix.lower() in _SUFFIXES]
    if not found:
        raise InputError(
            f"augment.noise.root={root}: expected a folder with recordings of noise "
            f"({', '.join(sorted(_SUFFIXES))}); augment.noise.root=null takes white noise"
        )
    return tuple(sorted(found, key=lambda path: path.relative_to(root).as_posix()))


@lru_cache(maxsize=4096)
def length_s(path: Path) -> float:
    """Seconds of a recording.

    Raises:
        AudioError: it cannot be read.
    """
    try:
        with opened(path) as file:
            return file.count() / file.rate_hz
    except AudioError as error:
        raise AudioError(f"{error}, or take it out of augment.noise.root", error.kind) from error
