"""What every encoder promises: a batch in, hidden states out, one row a position."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged

Modality = Literal["speech", "text"]
Needs = Literal["waveform", "tokens", "phone", "syllable", "word"]
Trainable = Literal["all", "none"] | int
# Where weights come from; fixed: there are none, what is computed is never learned.
Weights = Literal["pre-trained", "random", "fixed"]


@dataclass(frozen=True)
class Origin:
    """What an encoder is, for people who read a table.

    Attributes:
        name: the hub's name of a checkpoint, or what it computes.
        weights: where they come from before a run trains any.
    """

    name: str
    weights: Weights


class Encoder(nn.Module):
    """Turns one part of a batch into hidden states `[n layers d]`.

    Attributes:
        modality: what it encodes, whatever the stream that it feeds is called.
        needs: the parts of the batch that it reads: waveform, tokens, or units of a level.
        frame_s: seconds from one position to the next; None for text.
        width: d, the size of a hidden state.
        n_layers: how many hidden states a position has: 1 (the last), or all of them.
        pretrained: its weights come from pre-training, so they are tuned gently if at all.
        storable: the hidden states of the frozen encoder can be kept from run to run; `described`
            then says what determines them.
        reloadable: its weights can be had again from where they came from (a pre-trained
            encoder of which nothing is trained, or an adapter alone), so checkpoints leave them
            out.
    """

    modality: Modality = "speech"
    needs: frozenset[Needs]
    frame_s: float | None = None
    width: int
    n_layers: int
    pretrained: bool = False
    storable: bool = False
    reloadable: bool = False

    @classmethod
    def described(cls, **config: Any) -> dict[str, Any]:
        """What determines the hidden states of a frozen encoder, from its constructor's arguments.

        Raises:
            InputError: the encoder cannot be had.
        """
        raise NotImplementedError

    @classmethod
    def origin(cls, **config: Any) -> Origin:  # noqa: ARG003
        """What it is, from its constructor's arguments; nothing is read."""
        return Origin(cls.__name__, "random")

    @classmethod
    def size(cls, **config: Any) -> int | None:  # noqa: ARG003
        """How many parameters a checkpoint has, without loading its weights; None: not known.

        Raises:
            InputError: the encoder cannot be had.
        """
        return None

    def forward(self, batch: Batch) -> Ragged:
        """Hidden states `[n layers d]` of the b sequences of the batch."""
        raise NotImplementedError

    def mixed(self, batch: Batch, mix: Callable[..., Ragged]) -> Ragged:
        """Mixed states `[n d]` of the batch, by a `sermm.encoders.layer_mix.LayerMix`."""
        return mix(self(batch))

    def fit(self, transcripts: Iterable[str]) -> None:
        """Learns what must be known before training, from the training part of the fold only.

        A text encoder without a vocabulary of its own trains its tokenizer here; the others do
        nothing.
        """

    def positions(self, length: int) -> int:
        """How many positions a sequence of so many samples or tokens gets."""
        return length

    def reloads(self, name: str) -> bool:  # noqa: ARG002
        """Whether a value of its state, by its name, can be had again, so that nobody keeps it."""
        return self.reloadable

    def save_assets(self, folder: Path) -> None:
        """Writes all but the weights that is needed to build the encoder again.

        A constructor with an argument `assets` takes such a folder instead of a hub.
        """


@dataclass(frozen=True)
class Piece:
    """What a token stands for.

    Attributes:
        text: for people: the characters of the transcript, or the token's own name.
        span: first character and end in the transcript; None: it stands for none (`[CLS]`).
    """

    text: str
    span: tuple[int, int] | None = None


class TextEncoder(Encoder):
    """An encoder that reads token ids and knows how to make them."""

    modality: Modality = "text"
    needs: frozenset[Needs] = frozenset({"tokens"})

    def tokenize(self, transcripts: Sequence[str]) -> list[list[int]]:
        """Token ids of each transcript, special tokens included, cut at the longest allowed."""
        raise NotImplementedError

    def cut(self, transcripts: Sequence[str]) -> list[bool]:
        """Whether `tokenize` leaves out the end of each transcript; by default of none."""
        return [False] * len(transcripts)

    def pieces(self, transcript: str) -> list[Piece]:
        """What each token of `tokenize([transcript])` stands for; by default its number only."""
        return [Piece(str(number)) for number in self.tokenize([transcript])[0]]
