"""Late fusion: one linear branch per stream, logits summed, trained jointly.

Source: Zhao 2022, equation (3): y = softmax(sum_i (W3_i l_i + b3_i)).

| paper | code |
| --- | --- |
| i (the streams: text, frame, phone, syllable, word) | `streams` |
| l_i | `branches[i](...)` |
| W3_i, b3_i | `classifiers[i]` |

Differs from the source in: softmax is left to the loss; the defaults train the encoders too,
`features=frozen` does not.
"""

import torch
from torch import nn

from sermm.core.batch import Batch, Output
from sermm.encoders.base import Encoder
from sermm.models.base import StreamSystem
from sermm.models.branch import LinearBranch


class LateFusion(StreamSystem):
    """The sum of the logits of a linear branch for each stream.

    Args:
        streams: encoders by name.
        n_classes: k.
        width: of each branch.
        dropout: of each branch.
    """

    def __init__(
        self,
        streams: dict[str, Encoder],
        n_classes: int,
        width: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(streams)
        self.branches = nn.ModuleDict(
            {
                name: LinearBranch(encoder.n_layers, encoder.width, width, dropout)
                for name, encoder in streams.items()
            }
        )
        self.classifiers = nn.ModuleDict({name: nn.Linear(width, n_classes) for name in streams})

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b streams*width]` is the branches' means side by side."""
        means = {name: self.branches[name](states) for name, states in self.hidden(batch).items()}
        logits = torch.stack([self.classifiers[name](mean) for name, mean in means.items()])
        return Output(logits.sum(0), torch.cat(list(means.values()), dim=-1))
