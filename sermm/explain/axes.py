"""What the positions of a stream are, for people: tokens, stretches of time, or numbers.

A system only has tensors. What their positions stand for follows from the encoder of the stream, in
this order: tokens of a text encoder; the whole utterance, if there is but one position; units
(phones, syllables, words) of `Segments`; frames of a fixed length. An encoder that drops frames, as
one that trims silence does, has no `frame_s`: then positions have numbers only.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sermm.core.batch import Batch
from sermm.encoders.base import Encoder, Piece, TextEncoder
from sermm.encoders.segments import UNITS_PER_S, Segments
from sermm.models.base import System


@dataclass(frozen=True, eq=False)
class Axis:
    """The n positions of a stream.

    Attributes:
        stream: its name.
        n: how many.
        pieces: what each token stands for; None: it is speech.
        times: start and end in seconds; None: it is text, or the encoder's positions have none.
    """

    stream: str
    n: int
    pieces: tuple[Piece, ...] | None = None
    times: Float[np.ndarray, "n 2"] | None = None


def axis_of(system: System, stream: str, n: int, batch: Batch, text: str, seconds: float) -> Axis:
    """The axis of a stream with n positions.

    Args:
        system: whose stream it is.
        stream: as `Attended` and `System.gates` name it.
        n: positions; a single one of speech is the whole utterance.
        batch: of this utterance alone.
        text: what the text encoder read.
        seconds: of the utterance.

    Raises:
        ValueError: the system has no such stream, or other tokens than its encoder makes. Both are
            faults of a model's code, not of what the user gave.
    """
    encoder = _encoder(system, stream)
    reader = next((m for m in encoder.modules() if isinstance(m, TextEncoder)), None)
    if reader is not None:
        return Axis(stream, n, pieces=_pieces(reader, text, n))
    if n == 1:
        return Axis(stream, n, times=np.array([[0.0, seconds]]))
    return Axis(stream, n, times=_times(encoder, n, batch))


def _encoder(system: System, stream: str) -> Encoder:
    """The encoder of a stream; streams of a dictionary are named without it."""
    found = system.encoders
    for name in (stream, f"streams.{stream}"):
        if name in found:
            return found[name]
    raise ValueError(f"the system has no encoder of stream {stream!r}, but of {sorted(found)}")


def _pieces(reader: TextEncoder, text: str, n: int) -> tuple[Piece, ...]:
    """One for each token, special ones too; their number must be that of the stream's positions."""
    pieces = tuple(reader.pieces(text))
    if len(pieces) != n:
        raise ValueError(f"the stream has {n} positions, its tokenizer gives {len(pieces)}")
    return pieces


def _times(encoder: Encoder, n: int, batch: Batch) -> Float[np.ndarray, "n 2"] | None:
    """Start and end of each position in seconds; None where they have no times."""
    units = next((m for m in encoder.modules() if isinstance(m, Segments)), None)
    if units is not None:
        bounds: np.ndarray = batch.units[units.level].values.numpy() / UNITS_PER_S
        return bounds
    if encoder.frame_s is None:
        return None
    starts = encoder.frame_s * np.arange(n)
    return np.stack([starts, starts + encoder.frame_s], axis=1)
