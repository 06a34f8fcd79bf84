"""Attention within each clip of a batch that lies end to end, in place of Hugging Face's.

The layers of a speech transformer then see one sequence `[1 n d]` without padding: their linear
parts waste nothing and cannot look into another clip. Weights stay as they are.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sermm.core.ragged import Ragged

Bias = tuple[Float[Tensor, "n h"], Float[Tensor, "h t t"]]


def attend_by_clip(encoder: Any) -> None:
    """Replaces the attention of every layer of a wav2vec 2.0, HuBERT, data2vec or Whisper encoder.

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
        bias: a gate by position and head, and a bias by head and two positions of the longest
            clip; their product is added to the scores.
    """
    heads = (-1, attention.num_heads, attention.head_dim)
    query, key, value = (
        frames.with_values(project(states[0]).view(heads))
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    dropout = attention.dropout if attention.training else 0.0
    # A GPU waits for many small kernels longer than for padding; a CPU computes padding in full.
    run = _padded if states.is_cuda else _one_by_one
    mixed = run(query, key, value, bias, dropout)
    projected: Tensor = attention.out_proj(mixed.flatten(1))
    return projected[None]


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
    frames: Ragged, gate: Float[Tensor, "n h"], bias: Float[Tensor, "h t t"]
) -> list[Float[Tensor, "1 h _ _"]]:
    gates = frames.with_values(gate).split()
    return [g.T[None, :, :, None] * bias[None, :, : len(g), : len(g)] for g in gates]


def _padded(
    query: Ragged, key: Ragged, value: Ragged, bias: Bias | None, dropout: float
) -> Float[Tensor, "n h e"]:
    q, k, v = (part.padded()[0].transpose(1, 2) for part in (query, key, value))
    real = query.padded()[1][:, None, None, :]
    score: Tensor = real
    if bias is not None:
        gate = query.with_values(bias[0]).padded()[0].transpose(1, 2)
        score = (gate[..., None] * bias[1]).masked_fill(~real, float("-inf"))
    mixed = F.scaled_dot_product_attention(q, k, v, score, dropout)
    return query.from_padded(mixed.transpose(1, 2)).values
