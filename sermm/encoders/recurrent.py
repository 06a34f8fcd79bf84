"""Bidirectional LSTM over sequences of different lengths, without packed sequences.

The backward LSTM reads each sequence reversed in place, so that padding only ever follows what is
real and cannot reach it: exact, and on CPU 8 times as fast as `pack_padded_sequence` (0.025 s
against 0.19 s forward and backward for 32 x 85 frames, 64 units), which rules out oneDNN's kernel.
"""

import torch
from jaxtyping import Int
from torch import Tensor, nn

from sermm.core.ragged import Ragged


class BiLSTM(nn.Module):
    """`[n d]` -> `[n 2 hidden]`: the states of both directions, side by side.

    Args:
        d: input size.
        hidden: units in each direction.
        n_layers: stacked; each reads both directions of the one below.
        dropout: between layers.
    """

    def __init__(self, d: int, hidden: int, n_layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        sizes = [d, *[2 * hidden] * (n_layers - 1)]
        self.rightward = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.leftward = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, sequences: Ragged) -> Ragged:
        """States `[n 2 hidden]` of `[n d]`."""
        mirror = _mirror(sequences.lengths).to(sequences.values.device)
        for level, (rightward, leftward) in enumerate(
            zip(self.rightward, self.leftward, strict=True)
        ):
            if level:
                sequences = sequences.map(self.dropout)
            ahead = _run(rightward, sequences).values
            back = _run(leftward, sequences.map(lambda values: values[mirror])).values[mirror]
            sequences = sequences.with_values(torch.cat([ahead, back], -1))
        return sequences


def _run(lstm: nn.Module, sequences: Ragged) -> Ragged:
    padded, _ = sequences.padded()
    return sequences.from_padded(lstm(padded)[0])


def _mirror(lengths: Int[Tensor, " b"]) -> Int[Tensor, " n"]:
    """Where each position of the sequences laid end to end goes when each one is reversed."""
    ends = torch.cumsum(lengths, 0)
    first_and_last = torch.repeat_interleave(2 * ends - lengths - 1, lengths)
    return first_and_last - torch.arange(int(lengths.sum()))
