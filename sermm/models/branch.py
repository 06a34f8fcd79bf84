"""The linear branch: two position-wise layers and the mean over time.

Source: Pepino, Riera and Ferrer, Interspeech 2021; Zhao 2022, section 2.2.

| paper | code |
| --- | --- |
| w_l, u (equation 1) | `mix` |
| W1, b1 / W2, b2 | `layers` (h = ReLU(W1 u + b1), l = ReLU(W2 h + b2)) |
| mean over k | `Ragged.mean` |
"""

from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.ragged import Ragged
from sermm.encoders.layer_mix import LayerMix


class LinearBranch(nn.Module):
    """Hidden states `[n layers d]` of one stream -> one vector `[b width]` an utterance.

    Args:
        n_layers: hidden states per position; more than one are mixed by learned weights.
        d: size of a hidden state.
        width: size of both position-wise layers.
        dropout: after each of them.
    """

    def __init__(self, n_layers: int, d: int, width: int, dropout: float) -> None:
        super().__init__()
        self.mix = LayerMix(n_layers, d)
        self.layers = nn.Sequential(
            nn.Linear(d, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, hidden: Ragged) -> Float[Tensor, "b width"]:
        """The mean over positions of l."""
        mixed: Ragged = self.mix(hidden)
        return mixed.map(self.layers).mean()
