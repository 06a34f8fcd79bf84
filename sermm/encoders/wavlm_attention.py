"""WavLM's attention by torch's fused kernel.

Hugging Face runs it step by step and averages the weights of all heads, which nobody reads: a
padded batch then costs more than its clips one by one.
"""

from functools import partial
from typing import Any

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def fuse_attention(encoder: Any) -> None:
    """Replaces the attention of every layer of a WavLM encoder; weights stay as they are."""
    for layer in encoder.layers:
        layer.attention.torch_multi_head_self_attention = partial(_attend, layer.attention)


def _attend(
    attention: Any,
    states: Float[Tensor, "b t d"],
    mask: Bool[Tensor, "b t"] | None,
    bias: Float[Tensor, "bh t t"],
) -> tuple[Float[Tensor, "b t d"], None]:
    """Attention with the gated position bias added to its scores; mask: True = real."""
    heads = (len(states), -1, attention.num_heads, attention.head_dim)
    query, key, value = (
        project(states).view(heads).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    scores = bias.view(len(states), attention.num_heads, *bias.shape[1:]).to(query.dtype)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
    dropout = attention.dropout if attention.training else 0.0
    mixed = F.scaled_dot_product_attention(query, key, value, scores, dropout)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2)), None
