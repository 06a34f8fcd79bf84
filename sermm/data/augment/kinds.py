"""Speed, length, pitch, level and gaps of a clip: what speech may differ in and keep its emotion.

Factors of speed and pitch lie on a grid of 1 %, so that the sampling rate is changed by a ratio of
small numbers. torchaudio's own `pitch_shift` does not: its filter has rate x rate taps, and four
seconds of speech take it over ten seconds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sermm.data.augment.stretch import WINDOW, stretched

_GRID: Final = 100
_SEMITONES: Final = 12.0


@dataclass(frozen=True)
class Variation:
    """One way in which a clip may be varied.

    Attributes:
        p: how likely a clip is varied.
    """

    p: float

    @property
    def longest(self) -> float:
        """What a clip's length can grow by, as a factor."""
        return 1.0

    def of_clip(self, utterance_id: str) -> "Variation":  # noqa: ARG002
        """What varies this clip; itself, unless it depends on whose clip that is."""
        return self

    def vary(self, waveform: Float[Tensor, " t"], draw: np.random.Generator) -> Float[Tensor, " u"]:
        """Another waveform at 16 kHz; the one that comes in stays as it is."""
        raise NotImplementedError


@dataclass(frozen=True)
class Speed(Variation):
    """Plays a clip faster or slower; pitch and formants move along.

    Source: Ko et al. 2015, "Audio augmentation for speech recognition" (factors 0.9, 1 and 1.1).

    Attributes:
        factor: range, 1.1 = a tenth faster.
    """

    factor: tuple[float, float]

    @property
    def longest(self) -> float:
        """Of the slowest clip."""
        return max(1.0, _GRID / round(_GRID * self.factor[0]))

    def vary(self, waveform: Float[Tensor, " t"], draw: np.random.Generator) -> Float[Tensor, " u"]:
        """The clip at another speed: of t samples ceil(t / factor) are left."""
        return _played(waveform, round(_GRID * draw.uniform(*self.factor)))


@dataclass(frozen=True)
class Stretch(Variation):
    """Makes a clip longer or shorter; pitch and formants stay (`stretched`).

    Attributes:
        factor: range, 1.1 = a tenth longer.
    """

    factor: tuple[float, float]

    @property
    def longest(self) -> float:
        """Of the slowest clip."""
        return max(1.0, self.factor[1])

    def vary(self, waveform: Float[Tensor, " t"], draw: np.random.Generator) -> Float[Tensor, " u"]:
        """Of t samples round(t * factor); one shorter than a window of 32 ms stays as it is."""
        factor = draw.uniform(*self.factor)
        return waveform if len(waveform) < WINDOW else stretched(waveform, factor)


@dataclass(frozen=True)
class Pitch(Variation):
    """Moves pitch and formants; length, and what is said when, stay.

    The clip is stretched in time and played faster by as much.

    Attributes:
        semitones: range, up is positive.
    """

    semitones: tuple[float, float]

    def vary(self, waveform: Float[Tensor, " t"], draw: np.random.Generator) -> Float[Tensor, " t"]:
        """The clip higher or lower; one shorter than a window of 32 ms stays as it is."""
        step = round(_GRID * 2 ** (draw.uniform(*self.semitones) / _SEMITONES))
        if step == _GRID or len(waveform) < WINDOW:
            return waveform
        played = _played(stretched(waveform, step / _GRID), step)[: len(waveform)]
        return torch.nn.functional.pad(played, (0, len(waveform) - len(played)))


@dataclass(frozen=True)
class Gain(Variation):
    """Makes a clip louder or softer; nothing is clipped at full scale.

    Attributes:
        db: range.
    """

    db: tuple[float, float]

    def vary(self, waveform: Float[Tensor, " t"], draw: np.random.Generator) -> Float[Tensor, " t"]:
        """The clip at another loudness."""
        return waveform * float(10 ** (draw.uniform(*self.db) / 20))


@dataclass(frozen=True)
class Mask(Variation):
    """Silences stretches of a clip.

    Source: Park et al. 2020, "SpecAugment on large scale datasets": time masks whose size follows
    the length of the clip. Differs from source: on samples, not on features.

    Attributes:
        share: range of the length of one stretch, as a share of the clip.
        times: how many stretches; they may overlap.
    """

    share: tuple[float, float]
    times: int

    def vary(self, waveform: Float[Tensor, " t"], draw: np.random.Generator) -> Float[Tensor, " t"]:
        """The clip with zeros where it is silenced."""
        masked = waveform.clone()
        for _ in range(self.times):
            width = int(draw.uniform(*self.share) * len(masked))
            start = int(draw.integers(len(masked) - width + 1))
            masked[start : start + width] = 0
        return masked


def _played(waveform: Float[Tensor, " t"], step: int) -> Float[Tensor, " u"]:
    """At `step` per cent of the speed: ceil(100 t / step) samples."""
    from torchaudio.functional import resample

    played: Float[Tensor, " u"] = resample(waveform, step, _GRID)
    return played
