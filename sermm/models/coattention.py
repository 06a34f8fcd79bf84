"""Co-attention: text and each speech stream read each other, layer by layer (early fusion).

Source: Zhao 2022, section 2.3, equation (4), Figures 2 and 3; the attention is that of ViLBERT.

    c_i = (mean X_T + mean X_i) / 2,   c = c_1 + ... + c_k (end to end)
    g = LN(ReLU(W4 c + b4) + c),   y = softmax(W5 g + b5)

| paper | code |
| --- | --- |
| i in {F, P, S, W} | the names of the speech streams; `stacks[i]` gives c_i |
| u (equation 1), one w per stream | `mixes` |
| one layer of U_T (x) U_i (Figure 3) | `CoAttentionLayer` |
| W6, W7, W8, attention, block | `attention.Attention`, `transformer_branch.Block` |
| GA (equation 2) | `Ragged.mean` |
| W4, b4 | `fuse` |
| LN of equation (4) | `norm` |
| W5, b5 | `classifier` |

Both branches of a layer are updated from the values of the layer before. Equation (1) has one set
of weights for i = T, so U_T is computed once and enters the models of all granularities.

Differs from the source in: streams of another width than the text's are projected to it (in the
paper all have 768); softmax is left to the loss. Left open there: 12 heads, 3072 hidden units,
GELU, dropout 0.1 within the blocks, 0.2 after ReLU(W4 c + b4).
"""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.models.base import Attended, StreamSystem
from sermm.models.transformer_branch import Block, block_sizes


class CoAttentionLayer(nn.Module):
    """X_T <- Block(q=X_T, kv=X_i) and X_i <- Block(q=X_i, kv=X_T), at the same time.

    Args:
        d: size of a state of both streams.
        heads: of both blocks; must divide d.
        feed_forward: hidden units of both blocks.
        dropout: of both blocks.

    Raises:
        InputError: the heads do not divide d.
    """

    def __init__(self, d: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.text = Block(d, heads, feed_forward, dropout)
        self.speech = Block(d, heads, feed_forward, dropout)

    def forward(self, text: Ragged, speech: Ragged) -> tuple[Ragged, Ragged]:
        """The new X_T and X_i; a stream whose partner is empty reads zeros there."""
        return self.text(text, speech), self.speech(speech, text)

    def attended(
        self, names: tuple[str, str], text: Ragged, speech: Ragged
    ) -> tuple[Attended, ...]:
        """Where X_i and X_T look in each other, in this order; `names` are those of T and i."""
        t, i = names
        return (
            Attended(i, t, self.speech.attention.weights(speech, text)),
            Attended(t, i, self.text.attention.weights(text, speech)),
        )


class CoAttentionStack(nn.Module):
    """The co-attention model of one granularity: c_i = (mean X_T + mean X_i) / 2.

    Args:
        depth: how many layers.
        d: size of a state of both streams, and of c_i.
        heads: of each block; must divide d.
        feed_forward: hidden units of each block.
        dropout: of each block.

    Raises:
        InputError: the heads do not divide d.
    """

    def __init__(self, depth: int, d: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            CoAttentionLayer(d, heads, feed_forward, dropout) for _ in range(depth)
        )

    def forward(
        self, text: Ragged, speech: Ragged
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, " b"]]:
        """c_i of the states `[n d]` and `[m d]`, and the cosine of its two means.

        An empty stream adds zeros, and its cosine is 0. Gradients go through c_i only.
        """
        for layer in self.layers:
            text, speech = layer(text, speech)
        x, y = text.mean(), speech.mean()
        alike = F.cosine_similarity(x.detach().float(), y.detach().float(), dim=-1)
        return (x + y) / 2, alike

    def attended(
        self, names: tuple[str, str], text: Ragged, speech: Ragged
    ) -> tuple[Attended, ...]:
        """Both directions of the last layer, as `CoAttentionLayer.attended`."""
        found: tuple[Attended, ...] = ()
        for layer in self.layers:
            found = cast(CoAttentionLayer, layer).attended(names, text, speech)
            text, speech = layer(text, speech)
        return found


class CoAttention(StreamSystem):
    """A stack of co-attention layers for each speech stream, then equation (4).

    Args:
        streams: encoders by stream name: one of text, and one or more of speech.
        n_classes: k.
        dropout: after ReLU(W4 c + b4).
        attention_dropout: within the blocks.
        depth: co-attention layers of a stack.
        heads: of each block; None: one for every 64 dimensions of the text encoder's width.
        feed_forward: hidden units of each block; None: four times that width.

    Raises:
        InputError: there is not one text, nothing but text, or the heads do not divide its width.
    """

    def __init__(
        self,
        streams: dict[str, Encoder],
        n_classes: int,
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        depth: int = 3,
        heads: int | None = None,
        feed_forward: int | None = None,
    ) -> None:
        text = [name for name, encoder in streams.items() if encoder.modality == "text"]
        speech = [name for name in streams if name not in text]
        if len(text) != 1 or not speech:
            raise InputError(
                f"streams={list(streams)}: co-attention is between one stream of text and one or "
                f"more speech streams, such as [text,frame,phone]; {len(text)} of these are text"
            )
        self.text = text[0]
        d = streams[self.text].width
        super().__init__(streams, width=d)
        heads, feed_forward = block_sizes(d, heads, feed_forward)
        self.stacks = nn.ModuleDict(
            {n: CoAttentionStack(depth, d, heads, feed_forward, attention_dropout) for n in speech}
        )
        size = d * len(speech)
        self.fuse = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(size, n_classes)

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b d*speech streams]` is g.

        Measured for each speech stream i: `cosine_i` of the means of X_T and X_i, which the source
        finds almost identical, and averages for that reason.
        """
        mixed = self.mixed(batch)
        text = mixed[self.text]
        found = {name: stack(text, mixed[name]) for name, stack in self.stacks.items()}
        c = torch.cat([one for one, _ in found.values()], dim=-1)
        embedding = self.norm(self.dropout(F.relu(self.fuse(c))) + c)
        pooled = self.pooled({name: states.mean() for name, states in mixed.items()})
        measures = {f"cosine_{name}": alike for name, (_, alike) in found.items()}
        return Output(self.classifier(embedding), embedding, pooled=pooled, measures=measures)

    def attended(self, batch: Batch) -> tuple[Attended, ...]:
        """Each speech stream and text in each other, in the last layer of its stack."""
        mixed = self.mixed(batch)
        return tuple(
            attended
            for name, stack in self.stacks.items()
            for attended in cast(CoAttentionStack, stack).attended(
                (self.text, name), mixed[self.text], mixed[name]
            )
        )
