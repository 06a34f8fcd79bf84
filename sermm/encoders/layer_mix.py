"""The learned mix of an encoder's hidden layers.

Source: Zhao 2022, equation (1): u = LN(sum_l w_l u^l / sum_l w_l), the w_l learned from 1, without
softmax; after Pepino et al. 2021.

| paper | code |
| --- | --- |
| w_l | `weight` |
| LN | `norm` |
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.ragged import Ragged

# Below this the quotient explodes: nothing keeps the sum of free weights from crossing zero.
_SMALLEST_SUM = 1e-4
# So many positions at a time: their sum over the layers stays in a CPU's cache.
ROWS = 1024


class WeightedSum(torch.autograd.Function):
    """`weighted_sum` of hidden states that need no gradient, on a CPU.

    Both ways every layer is read once, in the type it is stored in. Half-precision states are never
    copied to float32 as a whole: the mix is bound by memory.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "n layers d"],
        weight: Float[Tensor, " layers"],
        mean: Float[Tensor, "layers d"] | None,
        deviation: Float[Tensor, "layers d"] | None,
    ) -> Float[Tensor, "n d"]:
        """The sum; quickest where a layer's states lie together in memory."""
        ctx.save_for_backward(hidden, mean, deviation)
        shares, start = _shares(weight, mean, deviation)
        mixed = torch.empty(len(hidden), hidden.shape[-1])
        for part, states in zip(torch.split(mixed, ROWS), torch.split(hidden, ROWS), strict=True):
            part.copy_(start)
            for layer, share in zip(states.unbind(1), shares, strict=True):
                part.addcmul_(layer, share)
        return mixed

    @staticmethod
    def backward(
        ctx: Any, grad: Float[Tensor, "n d"]
    ) -> tuple[None, Float[Tensor, " layers"], None, None]:
        """The gradient of each weight: the product of the sum's gradient with its layer."""
        hidden, mean, deviation = ctx.saved_tensors
        found = torch.zeros(hidden.shape[1], dtype=torch.float64)
        for states, part in zip(torch.split(hidden, ROWS), torch.split(grad, ROWS), strict=True):
            flat = part.flatten()
            for number, layer in enumerate(_normalised(states, mean, deviation)):
                found[number] += torch.dot(layer.flatten(), flat)
        return None, found.float(), None, None


def weighted_sum(
    hidden: Float[Tensor, "n layers d"],
    weight: Float[Tensor, " layers"],
    mean: Float[Tensor, "layers d"] | None,
    deviation: Float[Tensor, "layers d"] | None,
) -> Float[Tensor, "n d"]:
    """sum_l w_l (u^l - m_l) / s_l in float32, for any gradient, on any device."""
    shares, mixed = _shares(weight, mean, deviation)
    for layer, share in zip(hidden.unbind(1), shares, strict=True):
        mixed = torch.addcmul(mixed, layer, share)
    return mixed


def _shares(
    weight: Float[Tensor, " layers"],
    mean: Float[Tensor, "layers d"] | None,
    deviation: Float[Tensor, "layers d"] | None,
) -> tuple[Float[Tensor, "layers _"], Float[Tensor, " _"]]:
    """w_l / s_l, and -sum_l w_l m_l / s_l, so that the states need no pass of their own."""
    if mean is None or deviation is None:
        return weight[:, None], weight.new_zeros(1)
    shares = weight[:, None] / deviation
    return shares, -(shares.double() * mean).sum(0).float()


def _normalised(
    states: Float[Tensor, "n layers d"],
    mean: Float[Tensor, "layers d"] | None,
    deviation: Float[Tensor, "layers d"] | None,
) -> Iterator[Float[Tensor, "n d"]]:
    """(u^l - m_l) / s_l in float32, one layer after the other."""
    for number, layer in enumerate(states.unbind(1)):
        if mean is None or deviation is None:
            yield layer.float()
        else:
            scale = 1 / deviation[number]
            yield torch.addcmul(-mean[number] * scale, layer.float(), scale)


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

    def forward(
        self,
        hidden: Ragged,
        mean: Float[Tensor, "layers d"] | None = None,
        deviation: Float[Tensor, "layers d"] | None = None,
    ) -> Ragged:
        """Mixed states `[n d]` of hidden states `[n layers d]`.

        Args:
            hidden: u^l, in any precision.
            mean: m_l; None: the states are mixed as they are.
            deviation: s_l; the states are mixed as (u^l - m_l) / s_l.
        """
        values: Tensor = self.norm(self._sum(hidden.values, mean, deviation))
        return hidden.with_values(values)

    def _sum(
        self,
        hidden: Float[Tensor, "n layers d"],
        mean: Float[Tensor, "layers d"] | None,
        deviation: Float[Tensor, "layers d"] | None,
    ) -> Float[Tensor, "n d"]:
        if self.weight is None:
            only = hidden.squeeze(1).float()
            return only if mean is None or deviation is None else (only - mean) / deviation
        total = self.weight.sum()
        guarded = torch.where(total < 0, -1.0, 1.0) * total.abs().clamp_min(_SMALLEST_SUM)
        stored = hidden.device.type == "cpu" and not hidden.requires_grad
        run: Any = WeightedSum.apply if stored else weighted_sum
        mixed: Tensor = run(hidden, self.weight / guarded, mean, deviation)
        return mixed
