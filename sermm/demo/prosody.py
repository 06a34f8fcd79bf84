"""How the talkers of the demo corpus speak: ten voices, and what an emotion does to them.

An emotion moves five things away from the talker's own way: pitch, pitch range, rate, loudness
and vocal effort (the tilt of the spectrum). How far is drawn anew for each utterance and jitter
is added, so that neighbours (anger and joy, sadness and neutral) overlap.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

FEELINGS: Final = {
    "ang": "ang",
    "hap": "hap",
    "exc": "hap",
    "sad": "sad",
    "neu": "neu",
    "fru": "ang",
    "sur": "hap",
    "fea": "sad",
    "dis": "ang",
    "oth": "neu",
    "xxx": "neu",
}
"""The one of the four classes that a label's voice and words are made from."""

_JITTER: Final = 0.28
_EXPRESSION: Final = (0.5, 1.5)
# Direction of pitch, range, rate, loudness and effort.
_DIRECTIONS: Final = {
    "ang": (0.7, 0.7, 0.7, 1.1, 1.1),
    "hap": (1.2, 1.1, 0.6, 0.6, 0.5),
    "sad": (-0.7, -1.0, -1.2, -0.9, -0.9),
    "neu": (0.0, 0.0, 0.0, 0.0, 0.0),
}
_STRENGTHS: Final = {"exc": 1.25, "fru": 0.6}
# One unit of each, on espeak-ng's scales 0..99 and in words a minute, dB, filter coefficient.
_UNITS: Final = (15.0, 22.0, 30.0, 4.0, 0.3)


@dataclass(frozen=True, slots=True)
class Talker:
    """A voice and its own way to speak.

    Attributes:
        voice: espeak-ng's name of it.
        pitch: on espeak-ng's scale of the voice, 0..99.
        rate: words a minute.
        gain_db: how near the microphone is.
    """

    voice: str
    pitch: int
    rate: int
    gain_db: float


TALKERS: Final = {
    "Ses01F": Talker("en-us+f1", 50, 188, 0.0),
    "Ses01M": Talker("en-us+m1", 44, 180, 1.0),
    "Ses02F": Talker("en-us+f2", 46, 180, -1.0),
    "Ses02M": Talker("en-us+m3", 48, 190, 0.5),
    "Ses03F": Talker("en-us+f3", 52, 184, 1.0),
    "Ses03M": Talker("en-us+m2", 46, 176, -0.5),
    "Ses04F": Talker("en-us+f4", 48, 192, 0.0),
    "Ses04M": Talker("en-us+m7", 50, 184, -1.0),
    "Ses05F": Talker("en-us+f5", 50, 178, 0.5),
    "Ses05M": Talker("en-us+m6", 45, 186, 0.0),
}


@dataclass(frozen=True, slots=True)
class Prosody:
    """How one utterance is spoken.

    Attributes:
        pitch: espeak-ng's scale, 0..99; likewise `range`.
        rate: words a minute.
        level_db: RMS of the speech relative to full scale.
        tilt: coefficient of the first-order filter; above 0 lifts the high frequencies.
    """

    voice: str
    pitch: int
    range: int
    rate: int
    level_db: float
    tilt: float


def draw_prosody(
    talker: Talker, label: str, speech_cue: float, generator: np.random.Generator
) -> Prosody:
    """How `talker` speaks when the emotion is `label`; `speech_cue` scales what it changes."""
    strength = speech_cue * generator.uniform(*_EXPRESSION) * _STRENGTHS.get(label, 1.0)
    direction = np.array(_DIRECTIONS[FEELINGS[label]])
    z = strength * direction + _JITTER * generator.standard_normal(len(direction))
    pitch, pitch_range, rate, gain_db, tilt = (float(value) for value in z * np.array(_UNITS))
    return Prosody(
        voice=talker.voice,
        pitch=_within(talker.pitch + pitch, 5, 95),
        range=_within(50 + pitch_range, 5, 99),
        rate=_within(talker.rate + rate, 120, 260),
        level_db=min(-27.0 + talker.gain_db + gain_db, -16.0),
        tilt=min(max(tilt, -0.7), 0.7),
    )


def _within(value: float, least: int, most: int) -> int:
    return min(max(round(value), least), most)
