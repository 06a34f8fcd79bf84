"""The convolutional front end over the clips of a batch, each as if it were alone.

Several clips run as one strip: each starts at a whole number of frames, so that every layer meets
it at its own first sample, and the frames that would look beyond its end are cut away. Group norm
over time takes the statistics of each clip's own positions.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Clip = Float[Tensor, " _"]


def positions(samples: int, kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Outputs of stacked convolutions without padding; none where the input is too short."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples = max(0, (samples - kernel) // stride + 1)
    return samples


def features_of(
    front_end: Any, config: Any, clips: Sequence[Clip], strip_samples: int
) -> list[Float[Tensor, "_ c"]]:
    """Features `[frames c]` of every clip; each must be as long as one frame.

    Args:
        front_end: the feature extractor of a Hugging Face speech model.
        config: that model's.
        clips: samples.
        strip_samples: as many clips run at once as fit in; 0 = one by one.
    """
    found: list[Tensor] = []
    for strip in strips(clips, strip_samples):
        found += _run(front_end.conv_layers, config, strip)
    return found


def strips(clips: Sequence[Clip], most: int) -> Iterator[list[Clip]]:
    """The clips in order, as many together as `most` samples hold; at least one."""
    strip: list[Clip] = []
    for clip in clips:
        if strip and sum(map(len, strip)) + len(clip) > most:
            yield strip
            strip = []
        strip.append(clip)
    if strip:
        yield strip


def _run(layers: nn.ModuleList, config: Any, clips: list[Clip]) -> list[Float[Tensor, "_ c"]]:
    kernels, strides = list(config.conv_kernel), list(config.conv_stride)
    hop = math.prod(strides)
    slots = [math.ceil(len(clip) / hop) for clip in clips]
    # The last clip needs no filling up: nothing follows it.
    ends = [slot * hop - len(clip) for clip, slot in zip(clips, slots, strict=True)]
    parts = [F.pad(clip, (0, end)) for clip, end in zip(clips[:-1], ends[:-1], strict=True)]
    states: Tensor = torch.cat([*parts, clips[-1]])[None, None]
    for layer in list[Any](layers):
        if isinstance(norm := getattr(layer, "layer_norm", None), nn.GroupNorm):
            real = [positions(len(clip), kernels[:1], strides[:1]) for clip in clips]
            spans = [slot * hop // strides[0] for slot in slots]
            normed = _norm_by_clip(norm, layer.conv(states), spans, real)
            states = layer.activation(normed)
        else:
            states = layer(states)
    frames = [positions(len(clip), kernels, strides) for clip in clips]
    starts = [sum(slots[:index]) for index in range(len(slots))]
    return [states[0, :, s : s + n].T for s, n in zip(starts, frames, strict=True)]


def _norm_by_clip(
    norm: nn.GroupNorm, states: Float[Tensor, "1 c n"], spans: list[int], real: list[int]
) -> Float[Tensor, "1 c n"]:
    """Norms the real positions at the start of every span; the rest is not looked at."""
    if len(real) == 1:
        whole: Tensor = norm(states)
        return whole
    spans = [*spans[:-1], states.shape[-1] - sum(spans[:-1])]
    parts = zip(torch.split(states, spans, dim=-1), real, strict=True)
    return torch.cat(
        [F.pad(norm(part[..., :n]), (0, part.shape[-1] - n)) for part, n in parts], dim=-1
    )
