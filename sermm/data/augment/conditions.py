"""What a trained run's utterances are heard under, beside white noise: babble, a narrow band.

For tests and not for training: what is drawn follows from the seed and the utterance, so that all
systems hear the same.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sermm.core.errors import InputError
from sermm.core.records import Utterance
from sermm.data.audio import SAMPLE_RATE_HZ, load
from sermm.data.augment.kinds import Variation
from sermm.data.augment.noise import Noise

_VOICES: Final = 4


@dataclass(frozen=True)
class Babble(Noise):
    """Up to four voices of other talkers at once, equally loud, at an SNR as in `Noise`.

    Attributes:
        clips: the utterances that voices are taken from; not from the talker of the clip, unless
            there is no other.
    """

    clips: tuple[Utterance, ...] = ()

    def of_clip(self, utterance_id: str) -> "Babble":
        """Without the clip's own talker, or without the clip where nobody else is there.

        Raises:
            InputError: there is no other clip.
        """
        own = {u.speaker for u in self.clips if u.id == utterance_id}
        others = tuple(u for u in self.clips if u.speaker not in own)
        others = others or tuple(u for u in self.clips if u.id != utterance_id)
        if not others:
            raise InputError(
                "condition=babble takes voices from other utterances of the part, and this one has "
                f"{utterance_id} only; choose noise:SNR"
            )
        return replace(self, clips=others)

    def _noise(self, n: int, draw: np.random.Generator) -> Float[Tensor, " {n}"]:
        some = draw.choice(len(self.clips), min(_VOICES, len(self.clips)), replace=False)
        return torch.stack([_voice(self.clips[int(i)], n, draw) for i in some]).sum(0)


def _voice(utterance: Utterance, n: int, draw: np.random.Generator) -> Float[Tensor, " {n}"]:
    """N samples from anywhere in a clip, again from its start, with a mean square of 1."""
    clip = load(utterance.path, utterance.start_s, utterance.end_s)
    first = int(draw.integers(len(clip)))
    heard = clip.roll(-first).repeat(-(-n // len(clip)))[:n]
    level = float(heard.square().mean().sqrt())
    return heard / level if level else heard


@dataclass(frozen=True)
class Band(Variation):
    """Takes away all above a frequency, as a narrow channel does; length and pitch stay.

    Attributes:
        hz: what is above has an energy of 0.
    """

    hz: float

    def vary(self, waveform: Float[Tensor, " t"], draw: np.random.Generator) -> Float[Tensor, " t"]:  # noqa: ARG002
        """The clip, its spectrum cut."""
        spectrum = torch.fft.rfft(waveform)
        frequencies = torch.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE_HZ)
        spectrum[frequencies > self.hz] = 0
        cut: Float[Tensor, " t"] = torch.fft.irfft(spectrum, len(waveform))
        return cut
