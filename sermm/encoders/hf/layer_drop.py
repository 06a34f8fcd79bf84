"""LayerDrop: in training a transformer layer is left out now and then, for a whole batch.

transformers draws once a layer and forward pass, from torch's global generator, which every epoch
of a run seeds afresh (WavLM's first layer, which makes the position bias, is always there). What
reaches a layer that is left out goes on as it is.

Source: Fan, Grave and Joulin 2020; the code of transformers.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sermm.core.errors import InputError
from sermm.encoders.hf.base import transformers_in

OF_CHECKPOINT = "checkpoint"
LayerDrop = Literal["checkpoint"] | float | None
# What config.json calls it; Whisper has one for its encoder.
_NAMES = ("encoder_layerdrop", "layerdrop")


def set_layer_drop(asked: LayerDrop, config: Any, key: str) -> None:
    """Writes how likely a layer is left out into a model's configuration.

    Raises:
        InputError: as `probability_of`.
    """
    setattr(config, _name(config), probability_of(asked, config, key))


def probability_of(asked: LayerDrop, config: Any, key: str) -> float:
    """How likely a layer is left out.

    Args:
        asked: a probability, `checkpoint` for that of the checkpoint's config.json, or None for 0.
        config: of the checkpoint.
        key: of the encoder, for the message.

    Raises:
        InputError: it is none of these.
    """
    if asked is None:
        return 0.0
    if asked == OF_CHECKPOINT:
        return float(getattr(config, _name(config), 0.0))
    if isinstance(asked, bool | str) or not 0 <= asked < 1:
        raise InputError(
            f"{key}.layerdrop={asked}: expected a probability from 0 to below 1, {OF_CHECKPOINT} "
            "(as its config.json says), or null (no layer is left out)"
        )
    return float(asked)


def drops_layers(module: nn.Module) -> bool:
    """Whether some encoder of a system leaves out layers in training."""
    return any(
        part.trains_all and getattr(part.hf.config, _name(part.hf.config), 0.0) > 0
        for part in transformers_in(module)
    )


def _name(config: Any) -> str:
    return next((name for name in _NAMES if hasattr(config, name)), _NAMES[-1])


def run_through(
    layers: Sequence[nn.Module],
    states: Tensor,
    chosen: AbstractSet[int],
    probability: float,
    **options: Any,
) -> dict[int, Tensor]:
    """Runs layers one after the other, each left out with a probability.

    Args:
        layers: lowest first.
        states: what the first one gets.
        chosen: numbers of layers whose input is kept.
        probability: of a layer to be left out.
        options: what every layer gets besides.

    Returns:
        The input of each chosen layer; at the number of layers, what the last one gave.
    """
    found = {}
    for number, layer in enumerate(layers):
        if number in chosen:
            found[number] = states
        if probability == 0 or torch.rand(()) >= probability:
            states = layer(states, **options)
    return found | {len(layers): states}


@contextmanager
def collected_inputs(
    parts: Sequence[nn.Module], chosen: AbstractSet[int], states: dict[int, Tensor]
) -> Iterator[None]:
    """Keeps the input of each chosen layer in `states`.

    That of a layer that is left out is what the next part gets that is not.

    Args:
        parts: the layers, then what works on the last one's output.
        chosen: numbers of layers, from 0.
        states: by number; has none of layers above which nothing runs.
    """
    with ExitStack() as stack:
        for number, part in enumerate(parts):

            def keep(_part: object, inputs: tuple[Tensor, ...], number: int = number) -> None:
                for layer in chosen:
                    if layer <= number:
                        states.setdefault(layer, inputs[0])

            stack.callback(part.register_forward_pre_hook(keep).remove)
        yield
