"""Speech varied on the fly, for training batches only; nothing varied is ever kept.

torchaudio's functions are used where they can be: `torch-audiomentations` does not work with
torchaudio from 2.9, and `audiomentations` draws from global generators.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from jaxtyping import Float
from torch import Tensor

from sermm.core.seeding import generator
from sermm.data.augment.kinds import Variation

OF_WORDS: Final = "synonyms"
# After these nothing is said any more when it was.
MOVES_TIMES: Final = ("speed", "stretch")


class Augment:
    """Varies waveforms; what a clip gets follows from seed, epoch and utterance id.

    Workers, batch mates and resumption change nothing, and neither does a kind that is turned off
    to what the others draw.

    Args:
        variations: by kind, in the order in which they are applied.
        seed: of the run.
        settings: of each kind, as the result records them.
    """

    def __init__(
        self,
        variations: Mapping[str, Variation],
        seed: int,
        settings: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.settings = {kind: dict(settings[kind]) for kind in variations}
        self._variations = dict(variations)
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
                waveform = variation.of_clip(utterance_id).vary(waveform, draw)
        return waveform
