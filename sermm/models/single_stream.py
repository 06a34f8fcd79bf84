"""One modality alone: the linear branch and a classifier.

Source: Zhao 2022, Table 1, "Linear"; Pepino et al. 2021. Floor of every fusion table.

| paper | code |
| --- | --- |
| l | `branch(...)` |
| W3, b3 | `classifier` |

Differs from the source in: the defaults train the encoder too; `features=frozen` does not.
"""

from torch import nn

from sermm.core.batch import Batch, Output
from sermm.encoders.base import Encoder
from sermm.models.base import System
from sermm.models.branch import LinearBranch


class SingleStream(System):
    """Encoder -> linear branch -> logits.

    Args:
        encoder: the only stream.
        n_classes: k.
        width: of the branch.
        dropout: of the branch.
    """

    def __init__(
        self, encoder: Encoder, n_classes: int, width: int = 128, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.branch = LinearBranch(encoder.n_layers, encoder.width, width, dropout)
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b width]` is the branch's mean."""
        embedding = self.branch(self.encoder(batch))
        return Output(self.classifier(embedding), embedding)
