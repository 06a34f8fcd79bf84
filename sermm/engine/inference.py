"""Runs a trained system over batches; what comes out is joined on utterance id."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch.utils.data import DataLoader

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.encoders.precision import Precision
from sermm.models.base import System


@dataclass(frozen=True)
class Prediction:
    """What the system says of one utterance: probabilities `[k]`."""

    utterance_id: str
    probabilities: Float[np.ndarray, " k"]


def device_for(accelerator: str) -> torch.device:
    """The device that a trainer with this `accelerator` would use."""
    gpu = accelerator in {"auto", "gpu", "cuda"} and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu")


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


@torch.inference_mode()
def predict(
    system: System,
    batches: DataLoader[Batch] | Iterable[Batch],
    device: torch.device,
    precision: str,
) -> list[Prediction]:
    """Probabilities of every utterance; the system is left on the CPU in evaluation mode."""
    system.eval().to(device)
    half = precision_for(precision, device).startswith("bf16")
    found = []
    for batch in batches:
        probabilities = logits_of(system, batch, device, half).softmax(-1).cpu().numpy()
        found += [Prediction(i, p) for i, p in zip(batch.ids, probabilities, strict=True)]
    system.cpu()
    return found


def logits_of(
    system: System, batch: Batch, device: torch.device, half: bool
) -> Float[torch.Tensor, "b k"]:
    """Logits of a batch in float32, on the device of the system; `half` computes in bfloat16."""
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        output: Output = system(batch.to(device))
    return output.logits.float()
