"""What predicting one utterance at a time takes: time and memory.

Measured at the end of a run on the machine that trained it, for the table of costs. One utterance
at a time is how a system is used, and does not depend on how batches were made; the median and the
warm-up keep out what happens once: lazy loading, the choice of kernels, a busy moment. It changes
nothing of the run: no random numbers are drawn and the weights stay as they are.
"""

import time
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

import torch

from sermm.core.batch import Batch
from sermm.core.memory import forget_peak, peak_bytes
from sermm.encoders.precision import device_name, precision_for
from sermm.engine.assembly.inference import logits_of
from sermm.engine.training.task import Task
from sermm.models.base import CountingSystem, System
from sermm.runs.result import Cost

WARM_UP = 2
MOST_UTTERANCES = 20
MOST_S = 5.0


class Taken(NamedTuple):
    """What was measured; as in `sermm.runs.result.Cost`.

    Attributes:
        ms_per_sample: median over the utterances, milliseconds.
        utterances: how many were counted.
        peak_memory_gb: 10^9 bytes; None where the system does not tell.
    """

    ms_per_sample: float
    utterances: int
    peak_memory_gb: float | None


def cost(task: Task, device: torch.device) -> Cost | None:
    """Time and memory of the trained system as it runs in prediction.

    Decoding audio and reading stored features is not counted. With `features` "cached" encoders
    are not counted either.

    Args:
        task: trained; its test part gives the utterances, or validation where that is withheld.
        device: where to predict.

    Returns:
        `ms_per_sample`: median over up to 20 utterances, or as many as 5 s allow.
        `peak_memory_gb`: 10^9 bytes; on a GPU what torch held, weights included; on a CPU the
        resident memory of the whole process; None where the system does not tell.
        None for what counts instead of computing.
    """
    part = task.fold.val if task.config.withhold_test else task.fold.test
    if isinstance(task.system, CountingSystem) or not part:
        return None
    dataset = task.data.dataset(part)
    # spread over the part, so that not all are of one dialogue
    places = range(0, len(part), -(-len(part) // MOST_UTTERANCES))
    batches = (dataset[place] for place in places)
    precision = precision_for(task.config.trainer.precision, device)
    taken = measured(task.system, batches, device, precision.startswith("bf16"))
    return Cost(
        device=device_name(device),
        precision=precision,
        features=task.config.features.mode,
        threads=torch.get_num_threads(),
        **taken._asdict(),
    )


def measured(system: System, batches: Iterable[Batch], device: torch.device, half: bool) -> Taken:
    """Predicts batches of one utterance; the system is left on the CPU in evaluation mode.

    Args:
        system: the recogniser.
        batches: at least one; the first ones are predicted once more than they are counted.
        device: where to.
        half: computes in bfloat16 where torch allows.

    Returns:
        Time and memory; no memory where the peak could not be set back first, as it would be that
        of training.
    """
    system.eval().to(device)
    taken_s: list[float] = []
    # After the weights have moved: what they took on the way does not count.
    there = _forget_peak(device)
    start_s = time.perf_counter()
    for number, batch in enumerate(batches):
        if number < WARM_UP:
            _predict(system, batch, device, half)
        taken_s.append(_predict(system, batch, device, half))
        # A slow system is measured on fewer utterances rather than for minutes.
        if time.perf_counter() - start_s > MOST_S:
            break
    peak = _peak_gb(device) if there else None
    system.cpu()
    return Taken(1000 * median(taken_s), len(taken_s), peak)


@torch.inference_mode()
def _predict(system: System, batch: Batch, device: torch.device, half: bool) -> float:
    """Seconds from the batch in main memory to the probabilities there."""
    start_s = time.perf_counter()
    # fetching them waits for the GPU
    logits_of(system, batch, device, half).softmax(-1).cpu()
    return time.perf_counter() - start_s


def _forget_peak(device: torch.device) -> bool:
    """Sets the peak of memory back to what is in use now; whether that could be done."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    return forget_peak()


def _peak_gb(device: torch.device) -> float | None:
    """The peak since `_forget_peak`, 10^9 bytes: torch's own on a GPU, else the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    peak = peak_bytes()
    return None if peak is None else peak / 1e9
