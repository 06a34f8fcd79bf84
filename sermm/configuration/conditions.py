"""The conditions that `sermm evaluate` hears and reads a trained run's utterances under."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sermm.configuration.groups import HUMAN
from sermm.core.errors import InputError
from sermm.core.figures import fixed

CLEAN: Final = "clean"
NOISE, BABBLE, BAND, ASR = "noise", "babble", "band", "asr"
# Of what has a number: what it is of, its least and its most.
_NUMBERS: Final = {
    NOISE: ("an SNR in dB from -20 to 100", -20.0, 100.0),
    BABBLE: ("an SNR in dB from -20 to 100", -20.0, 100.0),
    # Everything is heard at 16 kHz, which holds frequencies below 8000 Hz.
    BAND: ("a frequency in Hz from 100 to 7999", 100.0, 7999.0),
}
_KINDS: Final = (CLEAN, HUMAN, NOISE, BABBLE, BAND, ASR)
_KNOWN: Final = f"{CLEAN}, {HUMAN}, {NOISE}:SNR, {BABBLE}:SNR, {BAND}:HZ, {ASR}:RECOGNISER"


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        kind: clean (as the run was tested); noise, white, or babble of other talkers, at a
            signal-to-noise ratio; band, nothing above a frequency; asr, texts of a recogniser;
            human, those of people.
        value: dB or Hz; None for other kinds.
        recogniser: the name of its transcripts; None for other kinds.
    """

    kind: str = CLEAN
    value: float | None = None
    recogniser: str | None = None

    @classmethod
    def of(cls, word: str) -> "Condition":
        """Reads `noise:10`.

        Raises:
            InputError: there is no such condition, or its value is wrong.
        """
        kind, colon, value = word.strip().partition(":")
        if kind in (CLEAN, HUMAN) and not colon:
            return cls(kind)
        if kind == ASR and value:
            return cls(kind, recogniser=value)
        if kind not in _NUMBERS or not value:
            raise InputError(f"condition={word}: expected some of {_KNOWN}")
        what, least, most = _NUMBERS[kind]
        number = _number(value)
        if not least <= number <= most:
            raise InputError(f"condition={word}: expected {kind}: and {what}")
        return cls(kind, number)

    @property
    def word(self) -> str:
        """As it is typed; the same for `noise:10` and `noise:10.0`."""
        if self.value is not None:
            return f"{self.kind}:{fixed(self.value, 2).rstrip('0').rstrip('.')}"
        return self.kind if self.recogniser is None else f"{self.kind}:{self.recogniser}"

    @property
    def text_source(self) -> str | None:
        """The `text.source` that it takes; None: the one that there is."""
        return self.word if self.kind in (ASR, HUMAN) else None

    @property
    def place(self) -> tuple[int, float, str]:
        """Sort key: by kind, then from the mildest to the hardest."""
        return _KINDS.index(self.kind), -(self.value or 0.0), self.word


def conditions(given: str | None) -> tuple[Condition, ...]:
    """Reads `noise:10` or `[clean,noise:10]`; nothing is clean.

    Raises:
        InputError: one of them is wrong, or is there twice.
    """
    words = (given or CLEAN).strip().removeprefix("[").removesuffix("]").split(",")
    found = [Condition.of(word) for word in words]
    if twice := next((one for one in found if found.count(one) > 1), None):
        raise InputError(f"condition={given}: {twice.word} is there twice")
    return tuple(found)


def in_order(words: Sequence[str]) -> list[str]:
    """Conditions as records name them (`label`), the clean one first, the hardest last."""
    return sorted(words, key=_place)


def _place(word: str) -> tuple[int, tuple[int, float, str]]:
    """Sort key of a label; what another version knows and this one does not comes last."""
    try:
        return word.count("+"), Condition.of(word.partition("+")[0]).place
    except InputError:
        return word.count("+"), (len(_KINDS), 0.0, word)


def label(condition: Condition, source: str, own: str) -> str:
    """What a condition is called in records: `noise:10`, or `noise:10+asr:x` if texts differ too.

    Args:
        condition: that was asked for.
        source: the `text.source` that was read.
        own: that of the run.
    """
    if condition.text_source is not None or source == own:
        return condition.word
    return source if condition.kind == CLEAN else f"{condition.word}+{source}"


def _number(text: str) -> float:
    """The number; one that is none is not within any limits."""
    try:
        return float(text)
    except ValueError:
        return math.nan
