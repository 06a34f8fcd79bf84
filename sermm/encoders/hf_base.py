"""What the Hugging Face encoders share: which parts are trained, and which layers come out."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, Trainable

Layers = Literal["last", "all", "transformer"]


class HFEncoder(Encoder):
    """A Hugging Face model of which all, nothing or the top n transformer layers are trained.

    What is not trained has no gradient and stays in evaluation mode.

    Args:
        hf: the model.
        blocks: its transformer layers, lowest first.
        on_top: modules that work on the last layer's output (a final norm).
        trainable: "all", "none", or how many of the top layers.
        layers: "last" hidden state, "all" (input of the first layer and every layer's output) or
            "transformer" (every layer's output).
        key: the configuration key that errors name.

    Raises:
        InputError: `trainable` or `layers` is none of these.
    """

    def __init__(
        self,
        hf: Any,
        blocks: Sequence[nn.Module],
        on_top: Sequence[nn.Module],
        trainable: Trainable,
        layers: Layers,
        key: str,
    ) -> None:
        super().__init__()
        if layers not in get_args(Layers):
            raise InputError(
                f"{key}.layers={layers}: expected one of {', '.join(get_args(Layers))}"
            )
        self.hf = hf
        self.layers = layers
        self.width = int(hf.config.hidden_size)
        self.n_layers = {"last": 1, "all": len(blocks) + 1, "transformer": len(blocks)}[layers]
        self._trained = self._choose(blocks, on_top, trainable, key)
        hf.requires_grad_(False)
        for part in self._trained:
            part.requires_grad_(True)

    def _choose(
        self,
        blocks: Sequence[nn.Module],
        on_top: Sequence[nn.Module],
        trainable: Trainable,
        key: str,
    ) -> list[nn.Module]:
        if trainable == "none":
            return []
        if trainable == "all":
            return [self.hf]
        if isinstance(trainable, str | bool) or not 1 <= trainable <= len(blocks):
            raise InputError(
                f"{key}.trainable={trainable}: expected all, none, or how many of the top layers "
                f"(1 to {len(blocks)})"
            )
        return [*blocks[-trainable:], *on_top]

    def train(self, mode: bool = True) -> "HFEncoder":
        """Training mode for the trained parts only."""
        super().train(mode)
        self.hf.eval()
        for part in self._trained:
            part.train(mode)
        return self

    def _gradient(self) -> AbstractContextManager[None]:
        """No graph at all where nothing is trained."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and bool(self._trained))

    def _select(self, frame: Ragged, states: Sequence[Tensor]) -> Ragged:
        """The layers asked for, `[n layers d]`, from the L + 1 padded hidden states `[b t d]`."""
        first = {"last": len(states) - 1, "all": 0, "transformer": 1}[self.layers]
        chosen = [frame.from_padded(state).values for state in states[first:]]
        return frame.with_values(torch.stack(chosen, dim=1))
