"""Further losses of training, for any system: what they learn is gone when training is over."""

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
        """The loss of a training batch, weighted as it enters the sum."""
        raise NotImplementedError
