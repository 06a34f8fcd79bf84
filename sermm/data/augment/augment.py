"""Speech varied on the fly, for training batches only; nothing varied is ever kept.

torchaudio's functions are used where they can be: `torch-audiomentations` does not work with
torchaudio from 2.9, and `audiomentations` draws from global generators.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from jaxtyping import Float
from torch import Tensor

from sermm.core.errors import InputError
from sermm.core.seeding import generator
from sermm.data.augment.kinds import Gain, Mask, Pitch, Speed, Variation
from sermm.data.augment.noise import Noise
from sermm.data.augment.settings import VariationSettings

# In the order in which they are applied: the talker, the place, the recording.
KINDS: Final[Mapping[str, type[Variation]]] = {
    "speed": Speed,
    "pitch": Pitch,
    "noise": Noise,
    "gain": Gain,
    "mask": Mask,
}

OF_WORDS: Final = "synonyms"


class Augment:
    """Varies waveforms; what a clip gets follows from seed, epoch and utterance id.

    Workers, batch mates and resumption change nothing, and neither does a kind that is turned off
    to what the others draw.

    Args:
        settings: of each kind (`conf/augment`); None: this kind is off. What is of words is left
            to `sermm.data.augment.synonyms`.
        seed: of the run.

    Attributes:
        settings: of the kinds that are on.

    Raises:
        InputError: a kind or a setting is wrong.
    """

    def __init__(self, settings: Mapping[str, Mapping[str, Any] | None], seed: int) -> None:
        known = (*KINDS, OF_WORDS)
        if unknown := sorted(set(settings) - set(known)):
            raise InputError(f"augment.{unknown[0]}: expected some of {', '.join(known)}")
        given = {kind: settings.get(kind) for kind in KINDS}
        self.settings = {kind: dict(one) for kind, one in given.items() if one is not None}
        self._variations = {
            kind: KINDS[kind].read(VariationSettings(kind, one))
            for kind, one in self.settings.items()
        }
        self._seed = seed

    def __str__(self) -> str:
        return ", ".join(
            f"{kind} ({', '.join(f'{name} {value}' for name, value in one.items())})"
            for kind, one in self.settings.items()
        )

    @property
    def longest(self) -> float:
        """What a clip's length can grow by, as a factor."""
        return math.prod(one.longest for one in self._variations.values())

    def __call__(
        self, waveform: Float[Tensor, " t"], epoch: int, utterance_id: str
    ) -> Float[Tensor, " u"]:
        """The waveform as this epoch hears it; the one that comes in stays as it is."""
        for kind, variation in self._variations.items():
            draw = generator(self._seed, "augment", epoch, utterance_id, kind)
            if draw.uniform() < variation.p:
                waveform = variation.vary(waveform, draw)
        return waveform
