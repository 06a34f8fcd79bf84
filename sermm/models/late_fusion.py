"""Late fusion: one branch per stream, logits summed. Of one stream it is a single-modality system.

Source: Zhao 2022, equation (3): y = softmax(sum_i (W3_i l_i + b3_i)); with one stream, Table 1.

| paper | code |
| --- | --- |
| i (the streams: text, frame, phone, syllable, word) | `streams` |
| u (equation 1), one w per stream | `mixes` |
| l_i (equation 2) | `branches[i](...)` |
| W3_i, b3_i | `classifiers[i]` |

Differs from the source in: softmax is left to the loss. The paper says that the logits are added
and not how the branches are trained: `joint=true` (default) trains their sum, `joint=false` every
branch by itself, which needs `trainer.clip_norm=null` to leave them wholly independent. Then the
training loss is the sum of the branches' own and validation's is that of the sum of their logits,
so there is no overfit ratio of losses.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from sermm.core.batch import Batch, Output
from sermm.encoders.base import Encoder
from sermm.models.base import Attended, StreamSystem
from sermm.models.branch import Branch, LinearBranch


class LateFusion(StreamSystem):
    """The sum of the logits of a branch for each stream.

    Args:
        streams: encoders by name.
        n_classes: k.
        branch: makes the branch of a stream from the size of its states.
        joint: whether the sum of the logits is trained, or each stream's own logits.

    Raises:
        InputError: there are no streams.
    """

    def __init__(
        self,
        streams: dict[str, Encoder],
        n_classes: int,
        branch: Callable[[int], Branch] = LinearBranch,
        joint: bool = True,
    ) -> None:
        super().__init__(streams)
        self.joint = joint
        branches = {name: branch(encoder.width) for name, encoder in streams.items()}
        self.branches = nn.ModuleDict(branches)
        self.classifiers = nn.ModuleDict(
            {name: nn.Linear(branch.width, n_classes) for name, branch in branches.items()}
        )

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b streams*width]` is the branches' vectors in a row."""
        vectors = {name: self.branches[name](states) for name, states in self.mixed(batch).items()}
        logits = torch.stack([self.classifiers[name](v) for name, v in vectors.items()])
        return Output(
            logits.sum(0),
            torch.cat(list(vectors.values()), dim=-1),
            apart=None if self.joint else logits,
            pooled=self.pooled(vectors),
        )

    def attended(self, batch: Batch) -> tuple[Attended, ...]:
        """Where each stream looks in itself, in the last block of its transformer branch."""
        return tuple(
            Attended(name, name, weights)
            for name, states in self.mixed(batch).items()
            if (weights := cast(Branch, self.branches[name]).weights(states))
        )
