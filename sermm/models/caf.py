"""Cross-attention fusion: two streams read each other once, without a gate.

Source: Yu, Meng, Zhu and Sun, IEEE PACRIM 2024, "Cross-Attention Dual-Stream Fusion for Speech
Emotion Recognition"; its companion in Electronics 13(11):2191, 2024. Both streams are speech: MFCC
through a network trained from scratch (BiLSTM), and a fine-tuned speech encoder
(`conf/model/caf.yaml`). Bian 2024 lists it as acoustic and semantic: that reading, speech and text,
is `conf/model/caf_text.yaml`, the single gate without its gate.

    C_1 = Att(q=H_1, k=v=H_2),  C_2 = Att(q=H_2, k=v=H_1),  Att = softmax(q k^T / sqrt(d)) v
    u = [mean (H_1 + C_1) ; mean (H_2 + C_2)]

| paper | code |
| --- | --- |
| H_1, H_2 | `mixed(...)`, of width d |
| Att with projections W_q, W_k, W_v, W_o | `readers[i]` |
| u | `embedding` |

Differs from the source in: only its abstract and the titles of its sections were at hand, so all
but the two kinds of streams and the cross-attention both ways is ours: d = 256, one head, own
projections each way, H + C, the mean. The MFCC stream keeps its time axis, which cross-attention
needs; a TextRCNN would take the maximum over time.
"""

from typing import cast

import torch
from torch import nn

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.encoders.base import Encoder
from sermm.models.attention import Attention
from sermm.models.base import Attended, StreamSystem


class CrossAttentionFusion(StreamSystem):
    """Two streams, one cross-attention each way, the mean over time, logits.

    Args:
        streams: two encoders by name.
        n_classes: k.
        width: d; a stream of another width is projected to it.
        heads: of both attentions; must divide d.
        dropout: before the classifier.

    Raises:
        InputError: there are not two streams, or the heads do not divide the width.
    """

    def __init__(
        self,
        streams: dict[str, Encoder],
        n_classes: int,
        width: int = 256,
        heads: int = 1,
        dropout: float = 0.2,
    ) -> None:
        if len(streams) != 2:
            raise InputError(
                f"model.system.streams={list(streams)}: cross-attention fusion is between two "
                "streams, as in conf/model/caf.yaml; for more there is model=coattention"
            )
        super().__init__(streams, width)
        self.readers = nn.ModuleDict({name: Attention(width, heads, 0.0) for name in streams})
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * width, n_classes)

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b 2d]` is u."""
        (one, h1), (two, h2) = self.mixed(batch).items()
        means = [
            own.with_values(own.values + self.readers[name](own, other)).mean()
            for name, own, other in ((one, h1, h2), (two, h2, h1))
        ]
        embedding = torch.cat(means, dim=-1)
        pooled = self.pooled({one: h1.mean(), two: h2.mean()})
        return Output(self.classifier(self.dropout(embedding)), embedding, pooled=pooled)

    def attended(self, batch: Batch) -> tuple[Attended, ...]:
        """Where each of the two streams looks in the other."""
        (one, h1), (two, h2) = self.mixed(batch).items()
        return tuple(
            Attended(own, other, cast(Attention, self.readers[own]).weights(h, source))
            for own, other, h, source in ((one, two, h1, h2), (two, one, h2, h1))
        )
