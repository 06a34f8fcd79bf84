"""What is wrong with the level of a recording, by figures that are gathered while it is decoded.

Integers written as floats are refused: a system would be given numbers that no other recording
has. All other flaws are named, and the utterance stays in, silence too: how many utterances a
protocol has must not hang on levels, and of a silent one the words may still be known.
"""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float

from sermm.core.figures import fixed, percent
from sermm.data.audio_errors import AudioError

# One step of 16 bits: what a recorder writes that hears nothing at all does not leave it.
_STEP: Final = 2.0**-15
# Decoders of lossy formats overshoot full scale by less; integers as floats reach hundreds.
_LOUD: Final = 2.0
_INTEGERS: Final = 16.0
# Where the rail is: 0.98 is the largest value of mu-law.
_RAIL: Final = 0.98
_CLIPPED_SHARE: Final = 0.001
_OFFSET: Final = 0.01
# 20 dB below the power of the channels; channels that have nothing to do with each other lose 3 dB.
_CANCELLED: Final = 0.01

_CANCEL: Final = (
    "its channels cancel each other: little or nothing is left of them in their average, which is "
    "what is heard; invert one of them, or keep one alone"
)
_SILENT: Final = (
    "digital silence: all its samples are the same, there is nothing to hear; record it again or "
    "leave it out"
)


class Flaw(NamedTuple):
    """Something wrong with a recording that can be used.

    Attributes:
        kind: a short slug.
        what: it is, in words.
    """

    kind: str
    what: str


class Levels:
    """Levels of samples that come in blocks; full scale is 1."""

    def __init__(self) -> None:
        self._n = self._clipped = 0
        self._low, self._high, self._peak = np.inf, -np.inf, 0.0
        self._sum = self._power = self._channels = 0.0

    def add(self, block: Float[np.ndarray, "n c"], mono: Float[np.ndarray, " n"]) -> None:
        """Takes note of a block.

        Args:
            block: all channels.
            mono: their average.
        """
        peak = float(max(block.max(), -block.min()))
        if peak >= _RAIL:
            self._clipped += int((np.abs(block) >= _RAIL).any(axis=1).sum())
        self._peak = max(self._peak, peak)
        self._low, self._high = min(self._low, mono.min()), max(self._high, mono.max())
        self._n += len(mono)
        self._sum += float(mono.sum())
        if block.shape[1] > 1:
            self._power += float(np.vdot(mono, mono))
            self._channels += float(np.vdot(block, block)) / block.shape[1]

    def flaws(self, path: Path) -> tuple[Flaw, ...]:
        """What is wrong, with the file's name.

        Raises:
            AudioError: the samples cannot be used.
        """
        if self._peak > _INTEGERS:
            raise AudioError(
                f"{path}: its samples reach {self._peak:g} where full scale is 1: integers written "
                "as floats? Divide them by their full scale, 32768 for 16 bits",
                "out_of_range",
            )
        share, offset = self._clipped / self._n, self._sum / self._n
        cancelled = self._power < _CANCELLED * self._channels
        silent = self._high - self._low <= 2 * _STEP
        clipped = share > _CLIPPED_SHARE and self._peak <= _LOUD
        found = [
            ("channels_cancel", cancelled, _CANCEL),
            ("silent", silent and not cancelled, _SILENT),
            (
                "too_loud",
                self._peak > _LOUD,
                f"its samples reach {fixed(self._peak, 1)} times full scale; scale them down",
            ),
            (
                "clipped",
                clipped and not silent,
                f"{percent(share)} % of its samples are at full scale or above it: it is clipped; "
                "record it at a lower level",
            ),
            (
                "dc_offset",
                abs(offset) > _OFFSET and not silent,
                f"its samples lie {fixed(abs(offset), 3)} of full scale off zero; take their mean "
                "away",
            ),
        ]
        return tuple(Flaw(kind, f"{path}: {what}") for kind, is_so, what in found if is_so)
