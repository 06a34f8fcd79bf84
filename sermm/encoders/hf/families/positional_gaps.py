"""Positional convolutions over clips that lie end to end, each as if it were alone.

Zeros stand between the clips, as many as the convolution sees to one side: what it pads a clip
with at its ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sermm.core.ragged import Ragged


@contextmanager
def gaps_between(positional: Any, frames: Ragged) -> Iterator[None]:
    """Within, the module maps the flat frames `[1 n d]` of a batch to as many, clip by clip.

    Gaps are set to zero again after each step that fills them: convolutions in several steps
    (data2vec), a batch norm before the convolution (some HuBERT).
    """
    if len(frames) == 1:
        yield
        return
    layers = list(getattr(positional, "layers", ()))
    gap = (layers[0] if layers else positional).conv.padding[0]
    slots = torch.arange(len(frames.values), device=frames.values.device) + gap * frames.segments
    n = len(frames.values) + gap * (len(frames) - 1)

    def spread(_module: object, inputs: tuple[Float[Tensor, "1 n d"]]) -> Tensor:
        values = inputs[0][0]
        return values.new_zeros(n, values.shape[1]).index_copy(0, slots, values)[None]

    def gather(_module: object, _inputs: object, output: Float[Tensor, "1 m d"]) -> Tensor:
        return output[:, slots]

    def clear(_module: object, _inputs: object, output: Float[Tensor, "1 d m"]) -> Tensor:
        return output * real

    real = torch.zeros(n, device=slots.device, dtype=torch.bool).index_fill(0, slots, True)
    steps = [*layers, getattr(positional, "batch_norm", None)]
    handles = [step.register_forward_hook(clear) for step in steps if step is not None]
    handles.append(positional.register_forward_pre_hook(spread))
    handles.append(positional.register_forward_hook(gather))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
