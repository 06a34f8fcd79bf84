"""Single-layer temporal-aware sigmoid gate.

Source: Bian, Liang and Zhang 2024 ("Bian 2024"). Three descriptions of the gate disagree:

    variant cross (README formula; term paper, section 3.2):
        C_a = Att(q=X_a, k=v=X_l),  C_l = Att(q=X_l, k=v=X_a),  Att = softmax(q k^T / sqrt(d)) v
        G = sigma(W [X ; C] + b),  fused = X * G + C * (1 - G),  u = [mean fused_a ; mean fused_l]
    variants direct_pooled, direct_interp (term paper, Table 1), without attention:
        G = sigma(W [A ; S] + b),  u = mean (A * G + S * (1 - G))
        pooled: A = mean X_a, S = mean X_l;  interp: A = X_a, S = X_l stretched to its length

| paper | code |
| --- | --- |
| X_a, X_l | `states(...)` |
| C | `attention(...)` |
| W, b (shared by both streams) | `gate.linear` |
| fused | `Gated.fused` |
| u | `embedding` |
| Linear(2048 -> 4) | `classifier`; Linear(1024 -> 4) in the variants direct |

The README calls the model the released code less its attention projections, and the gate alone has
the 2 M parameters stated for the fusion, so `projections` is off by default; section 3.2 has them,
as has the released class (`conf/model/cmgi_released.yaml`): one q/k/v triple for both directions.

Differs from the source in: padding never enters the attention or the mean (the published code
masks nothing; `literal` restores that); states are layer-normalised first (there they are not:
`norm=false`); human transcripts unless `text.source` says otherwise. Left open there: how Table 1
brings A and S to one length.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError, expect_one_of
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.models.base import Attended
from sermm.models.gated_attention import (
    CrossAttention,
    Gated,
    SigmoidGate,
    SpeechAndText,
    pooled_apart,
    side_by_side,
)

Variant = Literal["cross", "direct_pooled", "direct_interp"]


class SingleGate(SpeechAndText):
    """Speech and text, gated once against each other and averaged over time.

    Args:
        speech: encoder of the waveform; its width is d.
        text: encoder of the transcript.
        n_classes: k.
        variant: which description of the gate.
        projections: q, k and v of the variant cross are linear maps, one triple for both ways.
        literal: padding takes part, as in the published code (see `SpeechAndText`).
        dropout: before the classifier (the source has none; its README asks for 0.3-0.5).
        norm: states are layer-normalised before the gate (in the published code they are not).

    Raises:
        InputError: no such variant, or projections without attention.
    """

    def __init__(
        self,
        speech: Encoder,
        text: Encoder,
        n_classes: int,
        variant: Variant = "cross",
        projections: bool = False,
        literal: bool = False,
        dropout: float = 0.2,
        norm: bool = True,
    ) -> None:
        expect_one_of("model.system.variant", variant, Variant)
        if projections and variant != "cross":
            raise InputError(
                f"model.system.projections=true belongs to model.system.variant=cross; "
                f"{variant} has no attention to project for"
            )
        super().__init__(speech, text, literal, norm)
        d = speech.width
        self.variant = variant
        self.attention = CrossAttention(d, projections)
        self.gate = SigmoidGate(d)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * d if variant == "cross" else d, n_classes)

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding is u: `[b 2d]`, or `[b d]` in the variants direct."""
        states = self.states(batch)
        embedding = side_by_side(self._gated(*states))
        logits = self.classifier(self.dropout(embedding))
        return Output(logits, embedding, pooled=pooled_apart(*states))

    def gates(self, batch: Batch) -> dict[str, Ragged]:
        """G `[n d]` by stream: the share of the stream's own states, of each position and channel.

        The variants direct have one gate, whose own states are those of speech: for each frame,
        or one `[1 d]` for the whole utterance (pooled).
        """
        return {name: one.gate for name, one in self._gated(*self.states(batch)).items()}

    def attended(self, batch: Batch) -> tuple[Attended, ...]:
        """Where speech and text look in each other; the variants direct have no attention."""
        if self.variant != "cross":
            return ()
        speech, text = (self.counted(states) for states in self.states(batch))
        return (
            Attended("speech", "text", self.attention.weights(speech, text)),
            Attended("text", "speech", self.attention.weights(text, speech)),
        )

    def _gated(self, acoustic: Ragged, semantic: Ragged) -> dict[str, Gated]:
        """What is fused, by stream."""
        acoustic, semantic = self.counted(acoustic), self.counted(semantic)
        if self.variant == "direct_pooled":
            return {"speech": self.gate(pooled(acoustic), pooled(semantic))}
        if self.variant == "direct_interp":
            return {"speech": self.gate(acoustic, stretched(semantic, acoustic.lengths))}
        return {
            "speech": self.gate(acoustic, self.attention(acoustic, semantic)),
            "text": self.gate(semantic, self.attention(semantic, acoustic)),
        }


def pooled(states: Ragged) -> Ragged:
    """The mean of each sequence as its only position."""
    return Ragged(states.mean(), torch.ones_like(states.lengths))


def stretched(states: Ragged, lengths: Int[Tensor, " b"]) -> Ragged:
    """Each sequence `[t d]` at another length T, interpolated linearly along time.

    Position i of T lies at (i + 1/2) t / T - 1/2 of t, the ends held; an empty sequence gives
    zeros.
    """
    sequences = zip(states.split(), lengths.tolist(), strict=True)
    return Ragged(torch.cat([_stretched(one, length) for one, length in sequences]), lengths)


def _stretched(states: Tensor, length: int) -> Tensor:
    if not len(states) or not length:
        return states.new_zeros(length, states.shape[-1])
    return F.interpolate(states.T[None], length, mode="linear", align_corners=False)[0].T
