"""WavLM's attention within each clip, by torch's fused kernel.

Hugging Face runs it step by step and averages the weights of all heads, which nobody reads: a
padded batch then costs more than its clips one by one.

    gate_a, gate_b = sigmoid(sum of four of the eight outputs of a linear layer, twice), by head
    scores += (gate_a (gate_b c - 1) + 2) bias(j - i)
"""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.ragged_attention import mix


def attend_by_clip(encoder: Any) -> None:
    """Replaces the attention of every layer of a WavLM encoder; weights stay as they are.

    The encoder must then be called with `frames=`, the Ragged that its input belongs to.
    """
    for layer in encoder.layers:
        layer.attention.forward = partial(_attend, layer.attention)


def _attend(
    attention: Any,
    states: Float[Tensor, "1 n d"],
    position_bias: Float[Tensor, "h t t"] | None = None,
    *,
    frames: Ragged,
    **_options: object,
) -> tuple[Float[Tensor, "1 n d"], None, Float[Tensor, "h t t"]]:
    """The first layer makes the position bias, of the longest clip, and the others get it."""
    if position_bias is None:
        position_bias = attention.compute_bias(max(frames.sizes), max(frames.sizes))
    gate = _gate(attention, states[0])
    by_distance = position_bias.to(gate.dtype)

    def scores(gates: Float[Tensor, "b h t 1"]) -> Float[Tensor, "b h t t"]:
        t = gates.shape[2]
        return gates * by_distance[None, :, :t, :t]

    return mix(attention, states, frames, (gate[..., None], scores)), None, position_bias


def _gate(attention: Any, states: Float[Tensor, "n d"]) -> Float[Tensor, "n h"]:
    heads = states.view(len(states), attention.num_heads, attention.head_dim)
    eight: Tensor = attention.gru_rel_pos_linear(heads)
    gate_a, gate_b = torch.sigmoid(eight.view(*heads.shape[:2], 2, 4).sum(-1)).unbind(-1)
    constant: Tensor = attention.gru_rel_pos_const
    return gate_a * (gate_b * constant.view(-1) - 1.0) + 2.0
