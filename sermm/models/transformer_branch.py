"""The transformer branch: self-attention over one stream, the mean, one feed-forward layer.

Source: Zhao 2022, section 3.3 and Table 1, "Transformer Encoder": three transformer encoder
layers, then two feed-forward layers (the second is the system's classifier). The block is that of
section 2.3, which co-attention uses with two streams.

| paper | code |
| --- | --- |
| u (equation 1) | what comes in |
| W6, b6 / W7, b7 / W8, b8 (Q, K, V) | `Attention.query` / `.key` / `.value` |
| "the classic transformer encoder structure" | `Block` |
| mean over k (equation 2) | `Ragged.mean` |

Differs from the source in: what it leaves open. 12 heads (each divides its scores by the root of
its own size), 3072 hidden units, GELU, layer normalisation after the residual, no positional
encoding (the inputs are contextual), and the mean stands before the feed-forward layer.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.models.branch import Branch


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
        # Many small kernels make a GPU wait longer than padding; a CPU computes padding in full.
        run = attend_padded if own.values.is_cuda else attend_one_by_one
        attended = run(q, k, v, self.dropout if self.training else 0.0)
        read: Tensor = self.out(attended.values.flatten(1))
        return read

    def weights(self, own: Ragged, source: Ragged) -> tuple[Float[Tensor, "_ _"], ...]:
        """How much each of the n positions of `own` reads of each of the m, mean over heads."""
        return attention_weights(self._in_heads(self.query, own), self._in_heads(self.key, source))

    def _in_heads(self, project: nn.Module, stream: Ragged) -> Ragged:
        return stream.with_values(project(stream.values).view(-1, self.heads, self.size))


class Block(nn.Module):
    """X <- LN(X + attention), X <- LN(X + FFN(X)), each with dropout before the sum.

    Args:
        d: size of a state.
        heads: of the attention.
        feed_forward: hidden units of the FFN.
        dropout: of the attention weights, and in three places of the block as is usual.

    Raises:
        InputError: the heads do not divide d.
    """

    def __init__(self, d: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(d, heads, dropout)
        self.norm_attention = nn.LayerNorm(d)
        self.feed_forward = nn.Sequential(
            nn.Linear(d, feed_forward), nn.GELU(), nn.Dropout(dropout), nn.Linear(feed_forward, d)
        )
        self.norm_feed_forward = nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)

    def forward(self, own: Ragged, source: Ragged) -> Ragged:
        """New states `[n d]` of `own` after reading `source`; self-attention where both are one."""
        x = self.norm_attention(own.values + self.dropout(self.attention(own, source)))
        x = self.norm_feed_forward(x + self.dropout(self.feed_forward(x)))
        return own.with_values(x)


def block_sizes(d: int, heads: int | None, feed_forward: int | None) -> tuple[int, int]:
    """Heads and hidden units of a block for states of size d, as in BERT unless given."""
    return heads or max(1, d // 64), feed_forward or 4 * d


class TransformerBranch(Branch):
    """Self-attention blocks, the mean over the positions, one feed-forward layer.

    Args:
        d: size of a state.
        width: of the feed-forward layer after the mean.
        dropout: in the blocks and after that layer.
        depth: how many blocks.
        heads: of each block; None: one for every 64 dimensions (12 for 768).
        feed_forward: hidden units of each block; None: four times d (3072 for 768).

    Raises:
        InputError: the heads do not divide d.
    """

    def __init__(
        self,
        d: int,
        width: int = 128,
        dropout: float = 0.2,
        depth: int = 3,
        heads: int | None = None,
        feed_forward: int | None = None,
    ) -> None:
        super().__init__()
        self.width = width
        heads, feed_forward = block_sizes(d, heads, feed_forward)
        self.blocks = nn.ModuleList(Block(d, heads, feed_forward, dropout) for _ in range(depth))
        self.layer = nn.Sequential(nn.Linear(d, width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, states: Ragged) -> Float[Tensor, "b width"]:
        """ReLU(W mean + b); zeros where a sequence is empty, as from a linear branch."""
        for block in self.blocks:
            states = block(states, states)
        vectors: Tensor = self.layer(states.mean())
        return vectors * (states.lengths > 0).to(vectors.device)[:, None]

    def weights(self, states: Ragged) -> tuple[Float[Tensor, "_ _"], ...]:
        """Self-attention of the last block, `[n n]` for each utterance; nothing without blocks."""
        found: tuple[Tensor, ...] = ()
        for block in self.blocks:
            found = cast(Block, block).attention.weights(states, states)
            states = block(states, states)
        return found
