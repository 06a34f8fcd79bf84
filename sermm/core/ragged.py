"""Sequences of different lengths laid end to end, so that there is no padding to mask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ragged:
    """The b sequences of a batch, end to end. Legend: n positions in all, t the longest.

    Position-wise work runs on `values` and cannot depend on batch mates, but for rounding: for
    another n a library may add up in another order. Only attention and recurrence look at
    `padded()`.

    Attributes:
        values: `[n *d]`, on any device.
        lengths: `[b]` int64 on the CPU, summing to n; zeros are allowed (empty transcript).

    Raises:
        ValueError: lengths are not int64 on the CPU, are negative, or do not sum to n.
    """

    values: Shaped[Tensor, "n *d"]
    lengths: Int[Tensor, " b"]

    def __post_init__(self) -> None:
        if self.lengths.dtype != torch.int64 or self.lengths.device.type != "cpu":
            raise ValueError(
                f"lengths must be int64 on the CPU, got {self.lengths.dtype} on "
                f"{self.lengths.device}"
            )
        if self.lengths.numel() and int(self.lengths.min()) < 0:
            raise ValueError(f"lengths must not be negative, got {self.sizes}")
        if int(self.lengths.sum()) != self.values.shape[0]:
            raise ValueError(
                f"lengths sum to {int(self.lengths.sum())} but there are "
                f"{self.values.shape[0]} values"
            )

    @classmethod
    def pack(cls, sequences: Sequence[Shaped[Tensor, "_ *d"]]) -> "Ragged":
        """Lays sequences `[t_i *d]` end to end.

        Raises:
            ValueError: there are none.
        """
        if not sequences:
            raise ValueError("a batch needs at least one sequence")
        return cls(torch.cat(list(sequences)), torch.tensor([len(s) for s in sequences]))

    def __len__(self) -> int:
        """The number of sequences b."""
        return self.lengths.numel()

    @cached_property
    def sizes(self) -> list[int]:
        """The lengths as Python numbers."""
        return [int(length) for length in self.lengths.tolist()]

    @cached_property
    def segments(self) -> Int[Tensor, " n"]:
        """The sequence that each position belongs to, on the device of the values."""
        index = torch.repeat_interleave(torch.arange(len(self)), self.lengths)
        return index.to(self.values.device, non_blocking=True)

    @cached_property
    def _slots(self) -> Int[Tensor, " n"]:
        """Where each position lies in the flattened padded batch `[b * t]`."""
        longest = max(self.sizes, default=0)
        starts = torch.cumsum(self.lengths, 0) - self.lengths
        shift = torch.arange(len(self)) * longest - starts
        slots = torch.arange(self.values.shape[0]) + torch.repeat_interleave(shift, self.lengths)
        return slots.to(self.values.device, non_blocking=True)

    def split(self) -> tuple[Shaped[Tensor, "_ *d"], ...]:
        """The sequences, as views `[t_i *d]`."""
        return torch.split(self.values, self.sizes)

    def with_values(self, values: Shaped[Tensor, "n *e"]) -> "Ragged":
        """Other values for the same positions.

        Raises:
            ValueError: their number differs.
        """
        return Ragged(values, self.lengths)

    def map(self, function: Callable[[Tensor], Tensor]) -> "Ragged":
        """Applies a position-wise function to the values."""
        return self.with_values(function(self.values))

    def mean(self) -> Float[Tensor, "b *d"]:
        """Mean over the positions of each sequence; zeros where a sequence is empty."""
        return torch.stack([s.mean(0) if len(s) else s.sum(0) for s in self.split()])

    def max(self) -> Float[Tensor, "b *d"]:
        """Maximum over the positions of each sequence; zeros where a sequence is empty."""
        return torch.stack([s.amax(0) if len(s) else s.sum(0) for s in self.split()])

    def softmax(self) -> "Ragged":
        """Softmax over the positions of each sequence, for every trailing dimension."""
        return self.with_values(torch.cat([s.softmax(0) for s in self.split()]))

    def repeat(self, rows: Shaped[Tensor, "b *d"]) -> Shaped[Tensor, "n *d"]:
        """Gives every position the row of its sequence."""
        return rows[self.segments]

    def padded(self) -> tuple[Shaped[Tensor, "b t *d"], Bool[Tensor, "b t"]]:
        """Values padded with zeros, and the mask: True = real. t is at least 1."""
        b, t = len(self), max(1, *self.sizes)
        flat = self.values.new_zeros(b * t, *self.values.shape[1:])
        mask = torch.zeros(b * t, dtype=torch.bool, device=self.values.device)
        flat = flat.index_copy(0, self._slots, self.values)
        mask = mask.index_fill(0, self._slots, True)
        return flat.view(b, t, *flat.shape[1:]), mask.view(b, t)

    def from_padded(self, padded: Shaped[Tensor, "b t *e"]) -> "Ragged":
        """The way back: takes the real positions of a batch padded as by `padded()`."""
        return self.with_values(padded.flatten(0, 1)[self._slots])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Ragged":
        """The values on another device; the lengths stay on the CPU."""
        return self.with_values(self.values.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Ragged":
        """The values in page-locked memory."""
        return self.with_values(self.values.pin_memory())
