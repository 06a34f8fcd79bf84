"""Further losses of training, for any system: what they learn is gone when training is over.

The `Learner` holds them beside the system and adds them to its loss, so that a system knows nothing
of remedies and teachers. One is a class here and a function that makes it from a task
(`contrastive`, `distillation`); its name is that of its column in `metrics.csv`, `train/<name>`.
"""

from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.batch import Batch, Output


class Objective(nn.Module):
    """A loss beside the cross-entropy of the labels.

    Attributes:
        takes: the share of the labels' loss that this one takes the place of, 0..1.
    """

    takes: float = 0.0

    def forward(self, batch: Batch, output: Output) -> Float[Tensor, ""]:
        """The loss of a training batch, weighted as it enters the sum.

        Args:
            batch: b utterances with labels.
            output: what the system says of them, in training mode.
        """
        raise NotImplementedError
