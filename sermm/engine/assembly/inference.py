"""Runs a trained system over batches; what comes out is joined on utterance id.

The one way from batches to probabilities: for a run's own predictions, `sermm evaluate`, `predict`
and `explain`, and a teacher's. No trainer is involved: prediction runs in one process, and needs
neither the loop nor the callbacks of training.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch.utils.data import DataLoader

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.encoders.precision import precision_for
from sermm.models.base import System
from sermm.runs.predictions import Prediction


@torch.inference_mode()
def predict(
    system: System,
    batches: DataLoader[Batch] | Iterable[Batch],
    device: torch.device,
    precision: str,
) -> list[Prediction]:
    """Probabilities of every utterance; the system is left on the CPU in evaluation mode.

    Args:
        system: the recogniser.
        batches: in any order.
        device: where to compute.
        precision: `trainer.precision`, `auto` among them.

    Returns:
        Probabilities `[k]` in float32 for each utterance, in the order of the batches.

    Raises:
        InputError: what the system says of an utterance is no number.
    """
    system.eval().to(device)
    half = precision_for(precision, device).startswith("bf16")
    found = []
    for batch in batches:
        probabilities = logits_of(system, batch, device, half).softmax(-1).cpu().numpy()
        refuse_no_numbers(probabilities, batch.ids)
        found += [Prediction(i, p) for i, p in zip(batch.ids, probabilities, strict=True)]
    system.cpu()
    return found


def refuse_no_numbers(probabilities: Float[np.ndarray, "b k"], ids: Sequence[str]) -> None:
    """Finds utterances of which a system says what is no number: the first class would seem chosen.

    Args:
        probabilities: of a batch.
        ids: of its utterances.

    Raises:
        InputError: there is one.
    """
    bad = ~np.isfinite(probabilities).all(-1)
    if bad.any():
        raise InputError(
            f"what the system says of {int(bad.sum())} of {len(ids)} utterances, "
            f"{ids[int(bad.argmax())]} among them, is no number: its weights have diverged, or "
            "the precision is too small. Train it with a smaller model.learning.lr, with "
            "trainer.clip_norm=1.0, or with trainer.precision=32-true"
        )


def logits_of(
    system: System, batch: Batch, device: torch.device, half: bool
) -> Float[torch.Tensor, "b k"]:
    """Logits of a batch in float32, on the device of the system.

    Args:
        system: on `device`, in the mode that it is to run in.
        batch: anywhere.
        device: where the system is.
        half: computes in bfloat16 where torch allows; a softmax of bfloat16 logits would have two
            digits, so the logits are widened first.
    """
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        output: Output = system(batch.to(device))
    return output.logits.float()
