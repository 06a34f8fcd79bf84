"""Single-layer temporal-aware sigmoid gate.

Source: Bian, Liang and Zhang 2024 ("Bian 2024"), README formula and term paper section 3.2:

    C_a = Att(q=X_a, k=v=X_l),  C_l = Att(q=X_l, k=v=X_a),  Att = softmax(q k^T / sqrt(d)) v
    G = sigma(W [X ; C] + b),   fused = X * G + C * (1 - G),   u = [mean fused_a ; mean fused_l]

| paper | code |
| --- | --- |
| X_a | `acoustic` |
| X_l = W_p h + b_p | `project(...)` |
| C | `cross_attention(...)` |
| W, b (shared by both streams) | `gate.linear` |
| Linear(2048 -> 4) | `classifier` |

Differs from the source in: padding never enters the attention or the mean (the published code
masks nothing); no q/k/v projections, which is the README's account and the only reading that
gives its 2 M fusion parameters; human transcripts unless the corpus holds others.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.layer_mix import LayerMix
from sermm.models.base import System


class SigmoidGate(nn.Module):
    """G = sigma(W [X ; C] + b), X * G + C * (1 - G): per position and channel.

    Args:
        d: size of X and of C.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * d, d)

    def forward(
        self, own: Float[Tensor, "n d"], crossed: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d"]:
        """Between the stream's own states X and what it read in the other stream, C."""
        gate = torch.sigmoid(self.linear(torch.cat([own, crossed], dim=-1)))
        return own * gate + crossed * (1 - gate)


def cross_attention(query: Ragged, source: Ragged) -> Ragged:
    """softmax(q k^T / sqrt(d)) v with k = v = source, one head, no projections.

    A query whose source is empty gets zeros.
    """
    q, _ = query.padded()
    kv, real = source.padded()
    empty = ~real.any(-1)
    attended = F.scaled_dot_product_attention(
        q, kv, kv, attn_mask=(real | empty[:, None])[:, None, :]
    )
    return query.from_padded(attended.masked_fill(empty[:, None, None], 0.0))


class SingleGate(System):
    """HuBERT and BERT states, cross-attended both ways, gated once and averaged over time.

    Args:
        speech: encoder of the waveform; its width is d.
        text: encoder of the transcript.
        n_classes: k.
        dropout: before the classifier (the source has none; its README asks for 0.3-0.5).
    """

    def __init__(
        self, speech: Encoder, text: Encoder, n_classes: int, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.speech = speech
        self.text = text
        self.mix_speech = LayerMix(speech.n_layers, speech.width)
        self.mix_text = LayerMix(text.n_layers, text.width)
        self.project = nn.Linear(text.width, speech.width)
        self.gate = SigmoidGate(speech.width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * speech.width, n_classes)

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b 2d]` is u."""
        acoustic = self.mix_speech(self.speech(batch))
        semantic = self.mix_text(self.text(batch)).map(self.project)
        embedding = torch.cat(
            [self._fused(acoustic, semantic), self._fused(semantic, acoustic)], dim=-1
        )
        return Output(self.classifier(self.dropout(embedding)), embedding)

    def _fused(self, own: Ragged, other: Ragged) -> Float[Tensor, "b d"]:
        crossed = cross_attention(own, other)
        return own.with_values(self.gate(own.values, crossed.values)).mean()
