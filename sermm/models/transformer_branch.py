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

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.ragged import Ragged
from sermm.models.attention import Attention
from sermm.models.branch import Branch


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
