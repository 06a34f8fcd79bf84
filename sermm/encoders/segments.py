"""Segment embeddings: the mean of an encoder's frames over each phone, syllable or word.

Source: Zhao 2022, section 2.1: u_k^l = sum_{f=s}^{e} u_f^l / (e - s), for each layer l, so that the
layer weights of equation (1) stay learnable (both are linear).

| paper | code |
| --- | --- |
| k (the units) | `Batch.units[level]`, 10 ms, end exclusive |
| s, e | `bounds(...)`, in the encoder's frames |
| u_k^l | `segment_means(...)` |

Differs from the source in: the printed sum runs over e - s + 1 frames and is divided by e - s; the
default is the mean over the half-open interval, `literal=true` is the printed formula.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.core.records import LEVELS, Level
from sermm.encoders.base import Encoder
from sermm.encoders.wrapper import Wrapper

UNITS_PER_S = 100


class Segments(Wrapper):
    """An encoder whose positions are units of speech instead of frames.

    Args:
        encoder: of the waveform.
        level: phone, syllable or word.
        literal: divide by one frame less than are summed, as printed.

    Raises:
        InputError: the encoder's positions have no times.
    """

    def __init__(self, encoder: Encoder, level: Level, literal: bool = False) -> None:
        if encoder.frame_s is None:
            raise InputError(
                f"units of level {level} need an encoder whose positions are times; this one's are "
                "not (of mfcc and logmel: encoder.speech.trim_db=null encoder.speech.augment=false)"
            )
        super().__init__(encoder)
        self.level: Level = level
        self.literal = literal
        self.needs = encoder.needs | {level}
        self.frame_s = None

    def forward(self, batch: Batch) -> Ragged:
        """Unit embeddings `[k layers d]`.

        Raises:
            InputError: the batch has no units of this level.
        """
        if self.level not in batch.units:
            raise InputError(f"the batch of {batch.ids[0]} has no units of level {self.level}")
        hidden: Ragged = self.encoder(batch)
        frame_s = self.encoder.frame_s or 0.0
        return segment_means(hidden, batch.units[self.level], frame_s, self.literal)


def at_level(encoder: Encoder, level: str, literal: bool = False) -> Encoder:
    """The encoder as it is for level `frame`, else over units of that level."""
    if level == "frame":
        return encoder
    if level not in LEVELS:
        raise InputError(f"level must be frame, phone, syllable or word, got {level!r}")
    return Segments(encoder, level, literal)


def segment_means(frames: Ragged, units: Ragged, frame_s: float, literal: bool = False) -> Ragged:
    """Means `[k *d]` over each unit's frames, summed in float32.

    Args:
        frames: `[n *d]`.
        units: start and end in 10 ms, end exclusive, `[k 2]`, of the same b utterances.
        frame_s: seconds from one frame to the next.
        literal: divide by one less than the number of frames (but by no less than one).
    """
    start, end = bounds(units, frames.lengths, frame_s)
    lengths = end - start
    first = torch.cumsum(frames.lengths, 0) - frames.lengths
    offset = start + torch.repeat_interleave(first, units.lengths)
    shift = offset - (torch.cumsum(lengths, 0) - lengths)
    rows = torch.arange(int(lengths.sum())) + torch.repeat_interleave(shift, lengths)
    device = frames.values.device
    taken = frames.values.index_select(0, rows.to(device)).float()
    sums = torch.segment_reduce(taken, "sum", lengths=lengths.to(device), unsafe=True)
    divisor = (lengths - 1).clamp_min(1) if literal else lengths
    return units.with_values(sums / divisor.to(device).view(-1, *[1] * (sums.ndim - 1)))


def bounds(
    units: Ragged, n_frames: Int[Tensor, " b"], frame_s: float
) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """First frame and end of each unit within its utterance; at least one frame, within n_frames.

    For frames of 20 ms: floor(s / 2) and max(floor(s / 2) + 1, ceil(e / 2)), on the CPU.
    """
    micro_frame, micro_unit = round(frame_s * 1e6), round(1e6 / UNITS_PER_S)
    s, e = units.values.cpu().unbind(-1)
    last = torch.repeat_interleave(n_frames, units.lengths)
    start = torch.minimum(s * micro_unit // micro_frame, last - 1)
    end = torch.maximum(start + 1, torch.minimum(-(-e * micro_unit // micro_frame), last))
    return start, end
