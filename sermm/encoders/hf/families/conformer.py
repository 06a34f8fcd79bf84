"""Conformer layers (Gulati et al. 2020) within each clip of a batch that lies end to end.

What in a layer is not position-wise:

- attention, whose scores know positions by one of four ways (`position_embeddings_type`);
- a depthwise convolution, between whose clips stand zeros, as many as it sees: what it pads a clip
  with;
- in wav2vec2-conformer a batch norm. It always takes its stored statistics, in training too:
  those of a batch would make a clip depend on its batch mates, and a single frame has none.

    relative:      (q + u) k + (q + v) W r(i - j)      Dai et al. 2019
    relative_key:  q k + q e(clip(j - i))              Shaw et al. 2018
    rotary:        states turned by their position before q and k are projected
    null:          q k
"""

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.ragged_attention import Bias, within_clips
from sermm.encoders.hf.families.waveform_family import WaveformFamily
from sermm.encoders.hf.layer_drop import run_through


class ConformerFamily(WaveformFamily):
    """wav2vec2-conformer."""

    model_types = ("wav2vec2-conformer",)

    def settle(self, trained: bool) -> None:
        """The positional convolution is there and never used (in transformers too)."""
        super().settle(trained)
        self.hf.encoder.pos_conv_embed.requires_grad_(False)

    def _take_over(self, encoder: Any) -> None:
        self.on_top = [encoder.layer_norm]
        self.still = [layer.conv_module.batch_norm for layer in encoder.layers]
        keep_within_clips(encoder)

    def _contextualise(self, frames: Ragged, chosen: Sequence[int]) -> list[Float[Tensor, "n d"]]:
        found = conformed(self.hf, frames, set(chosen))
        top = len(self.blocks)
        found[top] = self.hf.encoder.layer_norm(found[top])
        return [found[number][0] for number in chosen]


@dataclass
class _Place:
    """Which clips a layer is at: attention comes first and tells the convolution."""

    frames: Ragged = field(init=False)


def keep_within_clips(encoder: Any) -> None:
    """Replaces attention and depthwise convolution of every layer; weights stay as they are.

    Layers must then be called with `frames=`, the Ragged that their input belongs to.
    """
    for layer in encoder.layers:
        place, convolution = _Place(), layer.conv_module.depthwise_conv
        layer.self_attn.forward = partial(_attend, layer.self_attn, place)
        convolution.forward = partial(_convolve, convolution, place)


def conformed(
    hf: Any, frames: Ragged, chosen: AbstractSet[int]
) -> dict[int, Float[Tensor, "1 n d"]]:
    """The input of each chosen layer, and what the last one gave.

    Args:
        hf: a model whose encoder was given to `keep_within_clips`.
        frames: projected features `[n d]`.
        chosen: numbers of layers, from 0.
    """
    states = hf.encoder.dropout(frames.values)[None]
    return run_through(
        list(hf.encoder.layers),
        states,
        chosen,
        hf.config.layerdrop if hf.training else 0.0,
        frames=frames,
        relative_position_embeddings=_positions(hf.config, max(frames.sizes), states),
    )


def _attend(
    attention: Any,
    place: _Place,
    hidden_states: Float[Tensor, "1 n d"],
    *,
    frames: Ragged,
    relative_position_embeddings: Any,
    **_options: object,
) -> tuple[Float[Tensor, "1 n d"], None]:
    place.frames = frames
    states, turned = hidden_states[0], hidden_states[0]
    if attention.position_embeddings_type == "rotary":
        turned = _turned(states, relative_position_embeddings, frames, attention.num_heads)
    heads = (len(states), attention.num_heads, attention.head_size)
    query = attention.linear_q(turned).view(heads)
    key, value = attention.linear_k(turned).view(heads), attention.linear_v(states).view(heads)
    bias = _bias(attention, query, relative_position_embeddings)
    if attention.position_embeddings_type == "relative":
        query = query + attention.pos_bias_u.to(query.dtype)
    dropout = attention.dropout.p if attention.training else 0.0
    q, k, v = (frames.with_values(part) for part in (query, key, value))
    mixed = within_clips(q, k, v, bias, dropout)
    return attention.linear_out(mixed.flatten(1))[None], None


def _bias(
    attention: Any, query: Float[Tensor, "n h e"], positions: Float[Tensor, "..."] | None
) -> Bias | None:
    scale = attention.head_size**-0.5
    if attention.position_embeddings_type == "relative":
        # [2t - 1, h, e], from the furthest to the left to the furthest to the right.
        table = attention.linear_pos(positions).view(-1, *query.shape[1:])
        return query + attention.pos_bias_v.to(query.dtype), partial(_by_distance, table, scale)
    if attention.position_embeddings_type == "relative_key":
        table = attention.distance_embedding.weight.to(query.dtype)[:, None]
        left = attention.left_max_position_embeddings
        return query, partial(_by_distance, table.expand(-1, query.shape[1], -1), scale, left=left)
    return None


def _by_distance(
    table: Float[Tensor, "m h e"],
    scale: float,
    query: Float[Tensor, "b h t e"],
    left: int | None = None,
) -> Float[Tensor, "b h t t"]:
    """Products of each query with what the table has for the distance to each key.

    Args:
        table: rows by distance j - i; beyond its ends the outermost ones count.
        scale: of the products.
        query: of clips of one length.
        left: the row of distance 0; None: the one in the middle.
    """
    t = query.shape[2]
    rows = len(table)
    zero = rows // 2 if left is None else left
    first, last = max(0, zero - t + 1), min(rows, zero + t)
    near = table[first:last]
    products = torch.einsum("bhte,mhe->bhtm", query, near) * scale
    index = _distances(t, query.device).add(zero - first).clamp(0, len(near) - 1)
    return products.gather(-1, index.expand(*query.shape[:2], t, t))


def _distances(t: int, device: torch.device) -> Int[Tensor, "t t"]:
    places = torch.arange(t, device=device)
    return places[None, :] - places[:, None]


def _turned(
    states: Float[Tensor, "n d"],
    positions: Float[Tensor, "2 t e"],
    frames: Ragged,
    heads: int,
) -> Float[Tensor, "n d"]:
    """Rotary embedding of whole states, head by head, as transformers does it."""
    at = torch.cat([torch.arange(size) for size in frames.sizes]).to(states.device)
    cos, sin = positions[:, at, None]
    by_head = states.view(len(states), heads, -1)
    begin, end = by_head.chunk(2, dim=-1)
    turned: Tensor = by_head * cos + torch.cat([-end, begin], dim=-1) * sin
    return turned.view_as(states)


def _positions(config: Any, t: int, like: Tensor) -> Float[Tensor, "..."] | None:
    """The table that all layers share: sines and cosines, made in float32.

    Returns:
        Of relative `[2t - 1, d]`, distance j - i from 1 - t to t - 1; of rotary `[2, t, e]`,
        cosines and sines; else None.
    """
    makers: dict[str, Callable[[Any, int], Tensor]] = {"relative": _sinusoids, "rotary": _angles}
    make = makers.get(config.position_embeddings_type or "")
    return None if make is None else make(config, t).to(like.device, like.dtype)


def _sinusoids(config: Any, t: int) -> Float[Tensor, "m d"]:
    width = config.hidden_size
    rates = torch.exp(torch.arange(0, width, 2).float() * -(math.log(10000.0) / width))
    # transformers counts i - j.
    angles = torch.arange(t - 1, -t, -1).float()[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _angles(config: Any, t: int) -> Float[Tensor, "2 t e"]:
    width = config.hidden_size // config.num_attention_heads
    rates = torch.pow(config.rotary_embedding_base, -torch.arange(0, width, 2).float() / width)
    angles = torch.arange(t).float()[:, None] * torch.cat([rates, rates])
    return torch.stack([angles.cos(), angles.sin()])


def _convolve(
    convolution: nn.Conv1d, place: _Place, states: Float[Tensor, "1 d m"]
) -> Float[Tensor, "1 d n"]:
    """The module's own convolution with zeros between the clips.

    A causal one gets its zeros in front already (w2v-BERT); others pad by themselves.
    """
    frames = place.frames
    lead = states.shape[-1] - len(frames.values)
    run: Callable[[Tensor], Tensor] = partial(type(convolution).forward, convolution)
    if len(frames) == 1:
        return run(states)
    gap = lead or int(convolution.padding[0])
    slots = torch.arange(len(frames.values), device=states.device) + gap * frames.segments
    n = lead + len(frames.values) + gap * (len(frames) - 1)
    spread = states.new_zeros(1, states.shape[1], n)
    return run(spread.index_copy(2, lead + slots, states[..., lead:]))[..., slots]
