"""What goes into a system (`Batch`) and what comes out (`Output`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sermm.core.ragged import Ragged


@dataclass(frozen=True, eq=False)
class Batch:
    """b utterances; only what the system asks for is loaded.

    Attributes:
        ids: utterance ids.
        waveform: samples at 16 kHz in -1..1, float32, `[n]`.
        tokens: token ids of the transcripts, int64, `[n]`.
        characters: ids of the transcripts' characters from 1 (0 = blank of CTC), int64, `[n]`.
        cached: stored features by stream name, `[n layers d]`.
        units: start and end of each unit by level, in 10 ms, end exclusive, int64, `[n 2]`.
        absent: whether an utterance has lost its `speech` or its `text`, `[b]` by modality; in
            training, for encoders wrapped by `sermm.encoders.modality_dropout`.
        speakers: who talks, where that is known.
        label: class index, int64, `[b]`; None when predicting.

    Raises:
        ValueError: the parts do not agree on b.
    """

    ids: tuple[str, ...]
    waveform: Ragged | None = None
    tokens: Ragged | None = None
    characters: Ragged | None = None
    cached: Mapping[str, Ragged] = field(default_factory=dict)
    units: Mapping[str, Ragged] = field(default_factory=dict)
    absent: Mapping[str, Bool[Tensor, " b"]] = field(default_factory=dict)
    speakers: tuple[str, ...] = ()
    label: Int[Tensor, " b"] | None = None

    def __post_init__(self) -> None:
        sizes = {name: len(part) for name, part in self._parts()}
        sizes |= {f"absent {name}": len(part) for name, part in self.absent.items()}
        if self.speakers:
            sizes["speakers"] = len(self.speakers)
        if self.label is not None:
            sizes["label"] = len(self.label)
        if wrong := {name: size for name, size in sizes.items() if size != len(self.ids)}:
            raise ValueError(f"the batch has {len(self.ids)} ids, but {wrong}")

    def _parts(self) -> Iterator[tuple[str, Ragged]]:
        if self.waveform is not None:
            yield "waveform", self.waveform
        if self.tokens is not None:
            yield "tokens", self.tokens
        if self.characters is not None:
            yield "characters", self.characters
        yield from self.cached.items()
        yield from self.units.items()

    def __len__(self) -> int:
        """The number of utterances b."""
        return len(self.ids)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """Everything on another device."""
        return replace(
            self,
            waveform=None if self.waveform is None else self.waveform.to(device, non_blocking),
            tokens=None if self.tokens is None else self.tokens.to(device, non_blocking),
            characters=(
                None if self.characters is None else self.characters.to(device, non_blocking)
            ),
            cached={k: v.to(device, non_blocking) for k, v in self.cached.items()},
            units={k: v.to(device, non_blocking) for k, v in self.units.items()},
            absent={k: v.to(device, non_blocking=non_blocking) for k, v in self.absent.items()},
            label=None if self.label is None else self.label.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> "Batch":
        """Everything in page-locked memory."""
        return replace(
            self,
            waveform=None if self.waveform is None else self.waveform.pin_memory(),
            tokens=None if self.tokens is None else self.tokens.pin_memory(),
            characters=None if self.characters is None else self.characters.pin_memory(),
            cached={k: v.pin_memory() for k, v in self.cached.items()},
            units={k: v.pin_memory() for k, v in self.units.items()},
            absent={k: v.pin_memory() for k, v in self.absent.items()},
            label=None if self.label is None else self.label.pin_memory(),
        )


@dataclass(frozen=True, eq=False)
class Output:
    """What a system says about b utterances of k classes.

    Attributes:
        logits: `[b k]`.
        embedding: `[b d]`, what the classifier saw.
        losses: named auxiliary scalars (CTC, contrastive ...), added to the loss as they are.
        apart: `[p b k]`, logits of p parts that are trained each by itself; None: `logits` are
            trained.
        pooled: one vector an utterance of each modality (`speech`, `text`) before they were
            joined; for losses between modalities.
        measures: what the system measures on itself, a figure an utterance by name, without
            gradients; validation records the means as `val/<name>`.
    """

    logits: Float[Tensor, "b k"]
    embedding: Float[Tensor, "b d"]
    losses: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    apart: Float[Tensor, "p b k"] | None = None
    pooled: Mapping[str, Float[Tensor, "b _"]] = field(default_factory=dict)
    measures: Mapping[str, Float[Tensor, " b"]] = field(default_factory=dict)
