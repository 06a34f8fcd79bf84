"""What every system promises: a batch in, an `Output` out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, Modality, TextEncoder
from sermm.encoders.layer_mix import LayerMix


@dataclass(frozen=True, eq=False)
class Attended:
    """Where the positions of one sequence look in another, averaged over heads.

    Attributes:
        query: the stream whose n positions look; its encoder is `System.encoders` of this name, or
            of `streams.` and it.
        key: the stream whose m positions are looked at; the same stream for self-attention.
        weights: `[n m]` for each utterance, rows sum to 1.
    """

    query: str
    key: str
    weights: tuple[Float[Tensor, "_ _"], ...]


class System(nn.Module):
    """A recogniser: encoders and what joins them.

    Attributes:
        floor: it is what systems must beat before their scores say anything, not one of them.
    """

    floor: ClassVar[bool] = False

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]` and embedding `[b d]` of the b utterances."""
        raise NotImplementedError

    def attended(self, batch: Batch) -> tuple[Attended, ...]:  # noqa: ARG002
        """What its attention looked at, of the last layer where there are several; none by default.

        Deterministic in evaluation mode, without gradients for `sermm explain`.
        """
        return ()

    def gates(self, batch: Batch) -> dict[str, Ragged]:  # noqa: ARG002
        """Its gates `[n d]` by stream, 1 = the stream's own states pass; none by default."""
        return {}

    @property
    def encoders(self) -> dict[str, Encoder]:
        """The encoders by the attribute that holds them, `streams.text` for those of a dict."""
        found = {}
        for name, part in self.named_children():
            members = part.items() if isinstance(part, nn.ModuleDict) else [("", part)]
            for key, module in members:
                if isinstance(module, Encoder):
                    found[f"{name}.{key}" if key else name] = module
        return found

    @property
    def needs(self) -> set[str]:
        """The parts of a batch that the encoders read."""
        return {part for encoder in self.encoders.values() for part in encoder.needs}

    @property
    def text_encoder(self) -> TextEncoder | None:
        """The encoder whose tokens the batches carry; None for systems without text."""
        # It may be wrapped, as in a normalisation of what it gives.
        modules = (m for encoder in self.encoders.values() for m in encoder.modules())
        return next((m for m in modules if isinstance(m, TextEncoder)), None)


class StreamSystem(System):
    """A system over any number of streams, each fed by one encoder and mixed by equation (1).

    Source: Zhao 2022, section 2.1. The mix of a stream is `mixes[i]`, one w for each i.

    Args:
        streams: encoders by name, in order (text, frame, phone, syllable, word, or others).
        width: streams of another width are projected to this one; None: none is.

    Raises:
        InputError: there are no streams.
    """

    def __init__(self, streams: dict[str, Encoder], width: int | None = None) -> None:
        super().__init__()
        if not streams:
            raise InputError("streams=[]: give one stream or more, such as [text,frame]")
        self.streams = nn.ModuleDict(streams)
        self.mixes = nn.ModuleDict({n: LayerMix(e.n_layers, e.width) for n, e in streams.items()})
        self.projections = nn.ModuleDict(
            {
                name: nn.Linear(encoder.width, width)
                for name, encoder in streams.items()
                if width is not None and encoder.width != width
            }
        )

    def mixed(self, batch: Batch) -> dict[str, Ragged]:
        """States `[n d]` of every stream by name: u of equation (1)."""
        return {name: self._mixed(name, batch) for name in self.streams}

    def pooled(
        self, vectors: Mapping[str, Float[Tensor, "b _"]]
    ) -> dict[str, Float[Tensor, "b _"]]:
        """Vectors of the streams as `Output.pooled`: those of each modality in a row."""
        found: dict[Modality, list[Tensor]] = {}
        for name, vector in vectors.items():
            encoder = cast(Encoder, self.streams[name])
            found.setdefault(encoder.modality, []).append(vector)
        return {m: torch.cat(found[m], dim=-1) for m in get_args(Modality) if m in found}

    def _mixed(self, name: str, batch: Batch) -> Ragged:
        encoder = cast(Encoder, self.streams[name])
        mixed = encoder.mixed(batch, self.mixes[name])
        return mixed.map(self.projections[name]) if name in self.projections else mixed


class CountingSystem(System):
    """A system that learns by looking at every training batch once, without gradients.

    It is a floor, unless its class says otherwise.
    """

    floor: ClassVar[bool] = True

    def observe(self, batch: Batch) -> None:
        """Takes in one training batch; its labels are there."""
        raise NotImplementedError

    def conclude(self) -> None:
        """All batches have been taken in; by default nothing is left to do."""


def labels_of(batch: Batch) -> Tensor:
    """The labels of a training batch.

    Raises:
        ValueError: the batch has none.
    """
    if batch.label is None:
        raise ValueError("a training batch needs labels")
    return batch.label
