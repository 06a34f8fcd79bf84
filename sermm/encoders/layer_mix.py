"""The learned mix of an encoder's hidden layers.

Source: Zhao 2022, equation (1): u = LN(sum_l w_l u^l / sum_l w_l), the w_l learned from 1, without
softmax; after Pepino et al. 2021.

| paper | code |
| --- | --- |
| w_l | `weight` |
| LN | `norm` |
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.ragged import Ragged

# Below this the quotient explodes: nothing keeps the sum of free weights from crossing zero.
_SMALLEST_SUM = 1e-4
# So many positions at a time: their sum over the layers stays in a CPU's cache.
_ROWS = 1024


class WeightedSum(torch.autograd.Function):
    """sum_l w_l u^l in float32, of hidden states that need no gradient, on a CPU.

    Both ways every layer is read once, in the type it is stored in. Half-precision states are never
    copied to float32 as a whole: the mix is bound by memory.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Float[Tensor, "n layers d"], weight: Float[Tensor, " layers"]
    ) -> Float[Tensor, "n d"]:
        """The sum; quickest where a layer's states lie together in memory."""
        ctx.save_for_backward(hidden)
        mixed = torch.zeros(len(hidden), hidden.shape[-1], dtype=torch.float32)
        shares = weight.tolist()
        parts = zip(torch.split(mixed, _ROWS), torch.split(hidden, _ROWS), strict=True)
        for part, states in parts:
            for layer, share in zip(states.unbind(1), shares, strict=True):
                part.add_(layer, alpha=share)
        return mixed

    @staticmethod
    def backward(ctx: Any, grad: Float[Tensor, "n d"]) -> tuple[None, Float[Tensor, " layers"]]:
        """The gradient of each weight: the product of the sum's gradient with its layer."""
        (hidden,) = ctx.saved_tensors
        found = torch.zeros(hidden.shape[1])
        for states, part in zip(torch.split(hidden, _ROWS), torch.split(grad, _ROWS), strict=True):
            flat = part.flatten()
            layers = (layer.float().flatten() for layer in states.unbind(1))
            found += torch.stack([torch.dot(layer, flat) for layer in layers])
        return None, found


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
            mixed = hidden.squeeze(1).float()
        else:
            total = self.weight.sum()
            guarded = torch.where(total < 0, -1.0, 1.0) * total.abs().clamp_min(_SMALLEST_SUM)
            weight = self.weight / guarded
            if hidden.requires_grad or hidden.is_cuda:
                mixed = torch.einsum("nld,l->nd", hidden.float(), weight)
            else:
                mixed = WeightedSum.apply(hidden, weight)  # type: ignore[no-untyped-call]
        normalised: Tensor = self.norm(mixed)
        return normalised
