"""Attention within each clip of a batch that lies end to end, in place of Hugging Face's.

The layers of a speech transformer then see one sequence `[1 n d]` without padding: their linear
parts waste nothing and cannot look into another clip. Weights stay as they are.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sermm.core.ragged import Ragged

# What is added to the scores: something by position and head, `[n h x]`, and what makes it
# `[b h t t]` out of that of clips of one length, `[b h t x]`.
Bias = tuple[Float[Tensor, "n h x"], Callable[[Float[Tensor, "b h t x"]], Float[Tensor, "b h t t"]]]


def attend_by_clip(encoder: Any) -> None:
    """Replaces the attention of every layer of an encoder whose layers know no positions.

    The encoder must then be called with `frames=`, the Ragged that its input belongs to.
    """
    for layer in encoder.layers:
        attention = layer.self_attn if hasattr(layer, "self_attn") else layer.attention
        attention.forward = partial(_attend, attention)


def _attend(
    attention: Any, hidden_states: Float[Tensor, "1 n d"], *, frames: Ragged, **_options: object
) -> tuple[Float[Tensor, "1 n d"], None]:
    return mix(attention, hidden_states, frames, None), None


def mix(
    attention: Any,
    states: Float[Tensor, "1 n d"],
    frames: Ragged,
    bias: Bias | None,
) -> Float[Tensor, "1 n d"]:
    """Multi-head attention of each clip over itself.

    Args:
        attention: a module with the projections q, k, v and out, heads and dropout.
        states: what attends, clips end to end.
        frames: the lengths of the clips.
        bias: what is added to the scores.
    """
    heads = (-1, attention.num_heads, attention.head_dim)
    query, key, value = (
        frames.with_values(project(states[0]).view(heads))
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    dropout = attention.dropout if attention.training else 0.0
    mixed = within_clips(query, key, value, bias, dropout)
    projected: Tensor = attention.out_proj(mixed.flatten(1))
    return projected[None]


def within_clips(
    query: Ragged, key: Ragged, value: Ragged, bias: Bias | None, dropout: float
) -> Float[Tensor, "n h e"]:
    """softmax(query key / sqrt(e) + bias) value, of each clip by itself; all three `[n h e]`."""
    # A GPU waits for many small kernels longer than for padding; a CPU computes padding in full.
    run = _padded if query.values.is_cuda else _one_by_one
    return run(query, key, value, bias, dropout)


def _one_by_one(
    query: Ragged, key: Ragged, value: Ragged, bias: Bias | None, dropout: float
) -> Float[Tensor, "n h e"]:
    parts = zip(query.split(), key.split(), value.split(), strict=True)
    scores = [None] * len(query) if bias is None else _scores_by_clip(query, *bias)
    mixed = []
    for (q, k, v), score in zip(parts, scores, strict=True):
        q, k, v = (part.transpose(0, 1)[None] for part in (q, k, v))
        mixed.append(F.scaled_dot_product_attention(q, k, v, score, dropout)[0].transpose(0, 1))
    return torch.cat(mixed)


def _scores_by_clip(
    frames: Ragged, given: Float[Tensor, "n h x"], make: Callable[[Tensor], Tensor]
) -> list[Float[Tensor, "1 h _ _"]]:
    return [make(one.transpose(0, 1)[None]) for one in frames.with_values(given).split()]


def _padded(
    query: Ragged, key: Ragged, value: Ragged, bias: Bias | None, dropout: float
) -> Float[Tensor, "n h e"]:
    q, k, v = (part.padded()[0].transpose(1, 2) for part in (query, key, value))
    real = query.padded()[1][:, None, None, :]
    score: Tensor = real
    if bias is not None:
        given, make = bias
        padded = query.with_values(given).padded()[0].transpose(1, 2)
        score = make(padded).masked_fill(~real, float("-inf"))
    mixed = F.scaled_dot_product_attention(q, k, v, score, dropout)
    return query.from_padded(mixed.transpose(1, 2)).values
