"""Concatenation: all streams as one, then the layers of one linear branch (early fusion).

Source: Zhao 2022, section 2.3, last paragraph, and Table 3, "Concatenation": "we concatenate text
and frame-level speech embeddings before feeding them into feed-forward layers which is the same
as one branch of our late fusion model".

| paper | code |
| --- | --- |
| u (equation 1), one w per stream | `mixes` |
| W1, b1 / W2, b2 | `layers` |
| mean over k (equation 2) | `_along_time`, over the positions of all streams |
| W3, b3 | `classifier` |

Differs from the source in: it does not say along which axis. "sequence" lays the streams end to
end, which keeps the width of the branch; the mean is then mostly the frames' (some 220 of them to
15 tokens). "feature" takes the mean of each stream first and lays those side by side. Streams of
another width than the first one's are projected to it on the axis "sequence"; softmax is left to
the loss.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.errors import expect_one_of
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.models.base import StreamSystem
from sermm.models.branch import LinearBranch

Axis = Literal["sequence", "feature"]


class Concatenation(StreamSystem):
    """Equation (1) by stream, one linear branch for all of them, logits.

    Args:
        streams: encoders by stream name.
        n_classes: k.
        axis: along which the streams are joined.
        width: of both layers.
        dropout: after each of them.

    Raises:
        InputError: there are no streams, or the axis is unknown.
    """

    def __init__(
        self,
        streams: dict[str, Encoder],
        n_classes: int,
        axis: Axis = "sequence",
        width: int = 128,
        dropout: float = 0.2,
    ) -> None:
        expect_one_of("model.system.axis", axis, Axis)
        widths = [encoder.width for encoder in streams.values()]
        super().__init__(streams, width=widths[0] if widths and axis == "sequence" else None)
        self.axis = axis
        size = widths[0] if axis == "sequence" else sum(widths)
        self.layers = LinearBranch(size, width, dropout).layers
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b width]` is the mean of l, or l of the means."""
        join = self._along_time if self.axis == "sequence" else self._side_by_side
        mixed = self.mixed(batch)
        embedding = join(list(mixed.values()))
        pooled = self.pooled({name: states.mean() for name, states in mixed.items()})
        return Output(self.classifier(embedding), embedding, pooled=pooled)

    def _along_time(self, streams: list[Ragged]) -> Float[Tensor, "b width"]:
        # The mean over the joined sequence is that of the streams' means, weighted by length:
        # so nothing is copied to be joined.
        lengths = torch.stack([stream.lengths for stream in streams])
        shares = lengths / lengths.sum(0).clamp_min(1)
        means = torch.stack([stream.map(self.layers).mean() for stream in streams])
        return (shares.to(means)[..., None] * means).sum(0)

    def _side_by_side(self, streams: list[Ragged]) -> Float[Tensor, "b width"]:
        vectors: Tensor = self.layers(torch.cat([stream.mean() for stream in streams], dim=-1))
        return vectors
