"""What the Hugging Face encoders share: which parts are trained, and which layers come out."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sermm.core.errors import InputError
from sermm.encoders.adapter import Adapter, Lora
from sermm.encoders.base import Encoder, Origin, Trainable
from sermm.encoders.hf.loading import Source, checkpoint_name, checkpoint_size
from sermm.encoders.hf.lora import add_lora, of_adapter, parts_of

NamedLayers = Literal["last", "all", "transformer"]
Layers = NamedLayers | Sequence[int]


def defaults_of(encoder: type[Encoder]) -> dict[str, Any]:
    """What the constructor of an encoder takes for the arguments that it is not given."""
    known = inspect.signature(encoder).parameters.values()
    return {one.name: one.default for one in known if one.default is not one.empty}


class HFEncoder(Encoder):
    """A Hugging Face model of which all, nothing or the top n transformer layers are trained.

    What is not trained has no gradient and stays in evaluation mode. With an adapter that is all
    of the model.

    Attributes:
        adapter: what `adapt` has added; None: nothing.

    Args:
        hf: the model.
        blocks: its transformer layers, lowest first; one that runs several times stands there as
            often, and is one layer to what is said of weights.
        on_top: modules that work on the last layer's output (a final norm).
        trainable: "all", "none", or how many of the top layers.
        layers: "last" hidden state, "all" (input of the first layer and every layer's output),
            "transformer" (every layer's output), or numbers, in the order that they come out in:
            0 = the input of the first layer, 1 to L = the outputs.
        key: the configuration key that errors name.

    Raises:
        InputError: `trainable` or `layers` is none of these.
    """

    adapter: Lora | None = None

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
        _align(hf)
        self.hf = hf
        self.width = int(hf.config.hidden_size)
        self._chosen = _numbers(layers, len(blocks), key)
        self.n_layers = len(self._chosen)
        self._blocks, self._on_top = list(blocks), list(on_top)
        self._recomputes = False
        self._trained = self._choose(blocks, on_top, trainable, key)
        hf.requires_grad_(False)
        for part in self._trained:
            part.requires_grad_(True)
        self._leave_unread(key)

    @classmethod
    def origin(cls, **config: Any) -> Origin:
        """The checkpoint, as the hub calls it or by the name of its folder."""
        return Origin(checkpoint_name(str(config["id"])), "pre-trained")

    @classmethod
    def size(cls, **config: Any) -> int | None:
        """Of the checkpoint.

        Raises:
            InputError: its configuration cannot be had.
        """
        return checkpoint_size(Source(str(config["id"]), "encoder", config.get("revision")))

    def adapt(self, adapter: Adapter, trainable: Trainable, key: str) -> None:
        """Trains an adapter in place of the model, whose weights can then be had again.

        Args:
            adapter: what is asked for; None changes nothing.
            trainable: as in the constructor: which layers are adapted, "all" or so many of the top
                ones. Layers that nothing reads are not.
            key: of the encoder, which errors name.

        Raises:
            InputError: no such adapter, nothing that it could adapt, or `trainable` is "none".
        """
        lora = Lora.of(adapter, f"{key}.adapter")
        if lora is None:
            return
        if trainable == "none":
            raise InputError(
                f"{key}.adapter is trained, and {key}.trainable=none trains nothing; use "
                f"features=finetune with {key}.trainable=all (an adapter in every layer, the "
                f"encoder itself stays), or {key}.adapter=null"
            )
        n_read = max(self._chosen)
        first = 0 if trainable == "all" else len(self._blocks) - int(trainable)
        targets = add_lora(self.hf, self._blocks[first:n_read], lora, key)
        self._trained = parts_of(self.hf)
        self.hf.requires_grad_(False)
        for part in self._trained:
            part.requires_grad_(True)
        self.adapter, self.reloadable = replace(lora, targets=targets), True

    def reloads(self, name: str) -> bool:
        """All but an adapter, where the checkpoint itself is not trained."""
        return self.reloadable and not of_adapter(name)

    def _leave_unread(self, key: str) -> None:
        """What lies above the highest layer that is read gets no gradient, and is not trained.

        Several devices would else wait for a gradient that never comes.

        Raises:
            InputError: nothing is left of what was to be trained.
        """
        highest = max(self._chosen)
        above = [b for b in self._blocks[highest:] if b not in self._blocks[:highest]]
        unread = [*above, *(self._on_top if highest < len(self._blocks) else ())]
        for part in unread:
            part.requires_grad_(False)
        if self._trained and not any(p.requires_grad for p in self.hf.parameters()):
            raise InputError(
                f"{key}.trainable trains layers above layer {highest}, the highest that "
                f"{key}.layers reads; train more of the top layers, or read higher ones"
            )

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
        apart = [n for n in range(1, len(blocks) + 1) if _apart(blocks, n)]
        if trainable not in apart:
            raise InputError(
                f"{key}.trainable={trainable}: layers of this model run several times, and the top "
                f"{trainable} cannot be trained without those below; expected all, none, or one "
                f"of {', '.join(map(str, apart))} (all of its {len(blocks)} runs leave only the "
                "embeddings as they are)"
            )
        return [*blocks[-trainable:], *on_top]

    def train(self, mode: bool = True) -> "HFEncoder":
        """Training mode for the trained parts only."""
        super().train(mode)
        self.hf.eval()
        for part in self._trained:
            part.train(mode)
        return self

    @property
    def trains_all(self) -> bool:
        """Whether nothing of the model is left as it is but what the encoder freezes by itself."""
        return self.hf in self._trained

    def of_adapter(self) -> list[nn.Parameter]:
        """The parameters of the adapter; none where there is none."""
        return [p for name, p in self.hf.named_parameters() if of_adapter(name)]

    def by_depth(self) -> list[list[nn.Parameter]]:
        """The parameters of all that lies before the layers, then of one layer after the other.

        What works on the last layer's output belongs to that layer.
        """
        groups = [list(block.parameters()) for block in dict.fromkeys(self._blocks)]
        groups[-1] += [p for part in self._on_top for p in part.parameters()]
        of_layers = {id(p) for group in groups for p in group}
        return [[p for p in self.hf.parameters() if id(p) not in of_layers], *groups]

    def recompute(self, but: int = 0) -> None:
        """Gradient checkpointing: trained layers keep their input, and run again in the backward.

        Loss and gradients stay as they are, dropout included.

        Args:
            but: so many of the top layers keep all that they computed; of one that runs several
                times, every run.

        Source: Chen, Xu, Zhang and Guestrin 2016.
        """
        self._recomputes = True
        for block in self._blocks:
            vars(block).pop("forward", None)
        own = dict.fromkeys(self._blocks)
        trained = [b for b in own if any(p.requires_grad for p in b.parameters())]
        for block in trained[: max(0, len(trained) - but)]:
            block.forward = partial(recomputed, block.forward)

    def _gradient(self) -> AbstractContextManager[None]:
        """No graph at all where nothing is trained."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and bool(self._trained))


def recomputed(run: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What `run` gives; its intermediate results are computed again when a gradient needs them."""
    if not torch.is_grad_enabled():
        return run(*args, **options)
    return checkpoint(run, *args, use_reentrant=False, **options)


def transformers_in(module: nn.Module) -> list[HFEncoder]:
    """The Hugging Face encoders in a system or in what is wrapped around one, each once."""
    return [part for part in module.modules() if isinstance(part, HFEncoder)]


def _numbers(layers: Layers, top: int, key: str) -> list[int]:
    """The layers asked for, from 0 (the input of the first) to `top`."""
    named = {"last": [top], "all": [*range(top + 1)], "transformer": [*range(1, top + 1)]}
    if isinstance(layers, str) and layers in named:
        return named[layers]
    several = isinstance(layers, Sequence) and not isinstance(layers, str)
    numbers = [n for n in layers if type(n) is int and 0 <= n <= top] if several else []
    if not numbers or len(set(numbers)) < len(layers):
        raise InputError(
            f"{key}.layers={layers}: expected one of {', '.join(get_args(NamedLayers))}, or a "
            f"list of different layer numbers from 0 (the input of the first layer) to {top}"
        )
    return numbers


def _apart(blocks: Sequence[nn.Module], top: int) -> bool:
    """Whether the top layers share nothing with those below them."""
    return not set(blocks[-top:]) & set(blocks[:-top])


def _align(hf: nn.Module) -> None:
    """Moves weights to where torch would put them.

    Out of a file they lie at any address, and kernels round by it: the same weights would give
    other last digits.
    """
    for value in (*hf.parameters(), *hf.buffers()):
        value.data = value.data.clone()
