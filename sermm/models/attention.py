"""Attention of one stream over a source, itself or another one: softmax(q k^T / sqrt(e)) v.

Source: Vaswani et al. 2017, equation (1) and section 3.2.2. The papers of this room differ in what
they project, which stands in their own files; the sum itself stands here, twice, because a CPU and
a GPU want it computed in different ways.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged


def attend_one_by_one(query: Ragged, key: Ragged, value: Ragged, dropout: float) -> Ragged:
    """Attention `[n h e]` of each sequence over its own source, without padding.

    Args:
        query: `[n h e]`, h heads of size e.
        key: `[m h e]`, as many sequences.
        value: `[m h e]`, positions as in key. A query whose source is empty gets zeros.
        dropout: of the attention weights.
    """
    attended = []
    for q, k, v in zip(query.split(), key.split(), value.split(), strict=True):
        if not len(q) or not len(k):
            attended.append(torch.zeros_like(q))
            continue
        q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        attended.append(mixed[0].transpose(0, 1))
    return query.with_values(torch.cat(attended))


def attend_padded(query: Ragged, key: Ragged, value: Ragged, dropout: float) -> Ragged:
    """The same in one piece: the positions that pad a source get no weight."""
    q, k, v = (part.padded()[0].transpose(1, 2) for part in (query, key, value))
    real = key.padded()[1]
    empty = ~real.any(-1)
    # Without a source all would be masked, and the softmax 0 / 0. Unmasked, it reads the zeros that
    # pad the values.
    mask = (real | empty[:, None])[:, None, None, :]
    attended = F.scaled_dot_product_attention(q, k, v, mask, dropout)
    return query.from_padded(attended.transpose(1, 2))


def attend(query: Ragged, key: Ragged, value: Ragged, dropout: float = 0.0) -> Ragged:
    """The same by whichever of the two is faster on the device of the queries."""
    # Many small kernels make a GPU wait longer than padding; a CPU computes padding in full.
    run = attend_padded if query.values.is_cuda else attend_one_by_one
    return run(query, key, value, dropout)


def attention_weights(query: Ragged, key: Ragged) -> tuple[Float[Tensor, "_ _"], ...]:
    """softmax(q k^T / sqrt(e)) of each sequence, mean over its heads: `[n m]`, rows sum to 1.

    What the attention above multiplies the values by. A source without positions gives `[n 0]`.

    Args:
        query: `[n h e]`, h heads of size e.
        key: `[m h e]`, as many sequences.
    """
    pairs = zip(query.split(), key.split(), strict=True)
    return tuple(_head_weights(q, k).mean(0) for q, k in pairs)


def _head_weights(
    query: Float[Tensor, "n h e"], key: Float[Tensor, "m h e"]
) -> Float[Tensor, "h n m"]:
    scores = torch.einsum("nhe,mhe->hnm", query, key) / math.sqrt(query.shape[-1])
    return scores.softmax(-1)


class Attention(nn.Module):
    """Multi-head attention of one stream over a source: itself or another stream.

    Args:
        d: size of a state of both.
        heads: how many; they share d equally.
        dropout: of the attention weights.

    Raises:
        InputError: the heads do not divide d.
    """

    def __init__(self, d: int, heads: int, dropout: float) -> None:
        super().__init__()
        if heads < 1 or d % heads:
            raise InputError(
                f"heads={heads} cannot share states of size {d}: give a number that divides {d}"
            )
        self.heads, self.size = heads, d // heads
        self.dropout = dropout
        self.query = nn.Linear(d, d)
        self.key = nn.Linear(d, d)
        self.value = nn.Linear(d, d)
        self.out = nn.Linear(d, d)

    def forward(self, own: Ragged, source: Ragged) -> Float[Tensor, "n d"]:
        """What the n positions of `own` read; with an empty source only the bias of `out`."""
        q, k = self._in_heads(self.query, own), self._in_heads(self.key, source)
        v = self._in_heads(self.value, source)
        attended = attend(q, k, v, self.dropout if self.training else 0.0)
        read: Tensor = self.out(attended.values.flatten(1))
        return read

    def weights(self, own: Ragged, source: Ragged) -> tuple[Float[Tensor, "_ _"], ...]:
        """How much each of the n positions of `own` reads of each of the m, mean over heads."""
        return attention_weights(self._in_heads(self.query, own), self._in_heads(self.key, source))

    def _in_heads(self, project: nn.Module, stream: Ragged) -> Ragged:
        return stream.with_values(project(stream.values).view(-1, self.heads, self.size))
