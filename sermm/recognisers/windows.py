"""Long audio in windows that a recogniser can hear at once, cut where it is quiet."""

import torch
from jaxtyping import Float
from torch import Tensor

from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ

# A cut is looked for in the last fifth of a window, at the quietest tenth of a second.
_LAST = 5
_QUIET_SAMPLES = SAMPLING_RATE_HZ // 10


def windows(clip: Float[Tensor, " t"], longest: int) -> list[Float[Tensor, " _"]]:
    """The clip in pieces of at most `longest` samples, none of them lost.

    Each cut lies in the middle of the quietest 0.1 s of the window's last fifth, the first such
    place if there are several.
    """
    pieces = []
    while len(clip) > longest:
        cut = _quietest(clip[longest - longest // _LAST : longest]) + longest - longest // _LAST
        pieces.append(clip[:cut])
        clip = clip[cut:]
    return [*pieces, clip]


def _quietest(clip: Float[Tensor, " t"]) -> int:
    """The middle of the quietest 0.1 s, tried every 10 ms."""
    width = min(_QUIET_SAMPLES, len(clip))
    energy = clip.square().unfold(0, width, max(1, width // 10)).sum(-1)
    return int(torch.argmin(energy)) * max(1, width // 10) + width // 2
