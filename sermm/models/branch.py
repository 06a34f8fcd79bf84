"""Branches without attention: two position-wise layers and the mean over time, or the mean alone.

Source: Pepino, Riera and Ferrer, Interspeech 2021; Zhao 2022, section 2.2.

| paper | code |
| --- | --- |
| u (equation 1) | what comes in |
| W1, b1 / W2, b2 | `layers` (h = ReLU(W1 u + b1), l = ReLU(W2 h + b2)) |
| mean over k (equation 2) | `Ragged.mean` |
"""

from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.ragged import Ragged


class Branch(nn.Module):
    """States `[n d]` of one stream -> one vector `[b width]` an utterance.

    Attributes:
        width: of that vector.
    """

    width: int

    def forward(self, states: Ragged) -> Float[Tensor, "b width"]:
        """The vectors; zeros where a sequence is empty."""
        raise NotImplementedError

    def weights(self, states: Ragged) -> tuple[Float[Tensor, "_ _"], ...]:  # noqa: ARG002
        """Where the n positions look in their own sequence, `[n n]` for each utterance.

        Nothing for a branch without attention.
        """
        return ()


class MeanBranch(Branch):
    """The mean over the positions, nothing else: the head of a fine-tuned encoder by itself.

    Args:
        d: size of a state.
        dropout: of the mean.
    """

    def __init__(self, d: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.width = d
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Ragged) -> Float[Tensor, "b width"]:
        """The mean over positions."""
        mean: Tensor = self.dropout(states.mean())
        return mean


class LinearBranch(Branch):
    """Two position-wise layers, then the mean over the positions.

    Args:
        d: size of a state.
        width: size of both layers.
        dropout: after each of them.
    """

    def __init__(self, d: int, width: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(
            nn.Linear(d, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, states: Ragged) -> Float[Tensor, "b width"]:
        """The mean over positions of l."""
        return states.map(self.layers).mean()
