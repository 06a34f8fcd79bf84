"""In which precision a frozen encoder computes, and on which device."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from torch import nn

from sermm.core.errors import InputError

Precision = Literal["32-true", "bf16-mixed", "bf16-true"]


@contextmanager
def computing(encoder: nn.Module, device_type: str, precision: Precision) -> Iterator[None]:
    """Within, the encoder computes as told; afterwards its weights are as they were.

    - 32-true: weights and hidden states in float32.
    - bf16-mixed: autocast. Weights stay float32 and are rounded anew in every call.
    - bf16-true: weights are rounded once, hidden states are bfloat16. On a CPU somewhat faster
      than bf16-mixed, with the same error.

    The encoder must be on its device, and stay there.
    """
    if precision == "bf16-mixed":
        with torch.autocast(device_type, torch.bfloat16):
            yield
    elif precision == "bf16-true":
        values = [v for v in (*encoder.parameters(), *encoder.buffers()) if v.is_floating_point()]
        exact = [value.data for value in values]
        try:
            for value in values:
                value.data = value.data.bfloat16()
            yield
        finally:
            for value, kept in zip(values, exact, strict=True):
                value.data = kept
    else:
        yield


def bfloat16_is_fast(device_type: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type != "cpu":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def device_for(accelerator: str) -> torch.device:
    """The device that a trainer with this `accelerator` would use."""
    gpu = accelerator in {"auto", "gpu", "cuda"} and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu")


def refuse_absent(accelerator: str, key: str) -> None:
    """Refuses a GPU that was asked for by name where there is none; `auto` takes what there is.

    Args:
        accelerator: the value of the key.
        key: of the configuration.

    Raises:
        InputError: there is none.
    """
    if accelerator in {"gpu", "cuda"} and not torch.cuda.is_available():
        raise InputError(
            f"{key}={accelerator}: torch finds no GPU here (`nvidia-smi` lists those of the "
            f"machine; a torch without CUDA uses none); use {key}=cpu, or auto for whatever there "
            "is"
        )


def precision_for(precision: str, device: torch.device) -> Precision:
    """Resolves `auto`: bf16-mixed on a GPU, 32-true elsewhere.

    Raises:
        InputError: no such precision.
    """
    if precision == "auto":
        return "bf16-mixed" if device.type == "cuda" else "32-true"
    for known in get_args(Precision):
        if precision == known:
            return cast(Precision, known)
    raise InputError(
        f"trainer.precision must be auto or one of {', '.join(get_args(Precision))}, got "
        f"{precision!r}"
    )


def device_name(device: torch.device) -> str:
    """What the hardware calls itself: times of other hardware must not be compared with these.

    Returns:
        The GPU's name, or the processor's by Linux; elsewhere `CPU` and the architecture.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next((name for name in names if name), f"CPU {platform.machine()}")
