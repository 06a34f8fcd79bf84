"""The learned mix of an encoder's hidden layers.

Source: Zhao 2022, equation (1): u = LN(sum_l w_l u^l / sum_l w_l), the w_l learned from 1, without
softmax; after Pepino et al. 2021.

| paper | code |
| --- | --- |
| w_l | `weight` |
| LN | `norm` |
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.ragged import Ragged

# Below this the quotient explodes: nothing keeps the sum of free weights from crossing zero.
_SMALLEST_SUM = 1e-4


class LayerMix(nn.Module):
    """Hidden states `[n layers d]` -> `[n d]`, position by position.

    With one layer the weight would cancel (and get no gradient), so there is none.

    Args:
        n_layers: l, how many hidden states a position has.
        width: d.
        norm: whether to apply the layer normalisation LN.
    """

    weight: nn.Parameter | None

    def __init__(self, n_layers: int, width: int, norm: bool = True) -> None:
        super().__init__()
        several = n_layers > 1
        self.register_parameter("weight", nn.Parameter(torch.ones(n_layers)) if several else None)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()

    def forward(self, hidden: Ragged) -> Ragged:
        """Mixed states `[n d]` of hidden states `[n layers d]`."""
        return hidden.map(self._mixed)

    def _mixed(self, hidden: Float[Tensor, "n layers d"]) -> Float[Tensor, "n d"]:
        if self.weight is None:
            mixed = hidden.squeeze(1)
        else:
            total = self.weight.sum()
            guarded = torch.where(total < 0, -1.0, 1.0) * total.abs().clamp_min(_SMALLEST_SUM)
            mixed = torch.einsum("nld,l->nd", hidden, self.weight / guarded)
        normalised: Tensor = self.norm(mixed)
        return normalised
