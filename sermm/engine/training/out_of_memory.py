"""Settings that save memory in training, and what is said when it runs out.

torch says how many bytes it could not get, which helps nobody to go on. Which settings help depends
on the run: a smaller batch accumulated to the same effective one, checkpointing, half precision,
fewer trained layers.
"""

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sermm.configuration.groups import TrainerConfig
from sermm.configuration.verbs import WorkConfig
from sermm.core.errors import InputError

# What torch says beside its own kind of error: of a CPU, of cuBLAS, of the CUDA driver.
# As conf/trainer has it.
_FIRST_CUT_S = 15.0
_SIGNS = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")


@contextmanager
def memory_watched(config: WorkConfig, device: torch.device) -> Iterator[None]:
    """Within, running out of memory ends in one message that names the settings to change.

    Args:
        config: of the run, to say what of it can change.
        device: that it trains on.

    Raises:
        InputError: that message.
    """
    try:
        yield
    except RuntimeError as error:
        if not ran_out(error):
            raise
        reason = str(error).strip().splitlines()[0]
        # What the failed step holds must go, or the next run of a sweep has no room either.
        traceback.clear_frames(error.__traceback__)
        _give_back()
        where = "GPU" if device.type == "cuda" else "CPU"
        raise InputError(
            f"memory of the {where} ran out in training ({reason}). Set one or more of these, "
            f"best first: {'; '.join(ways_out(config, device))}"
        ) from None


def ran_out(error: RuntimeError) -> bool:
    """Whether that is what the error says; other errors of torch go on as they are."""
    return isinstance(error, torch.OutOfMemoryError) or any(s in str(error) for s in _SIGNS)


def _give_back() -> None:
    """Frees what nothing refers to any more, in Python and in torch's allocator."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def ways_out(config: WorkConfig, device: torch.device) -> list[str]:
    """The three settings that save most memory, best first, and how much each saves.

    Args:
        config: of the run; what it has set already is not proposed.
        device: that it trains on.
    """
    trainer, features = config.trainer, config.features
    tuned = features.mode == "finetune"
    found = [_smaller_batch(trainer)]
    if tuned and not features.checkpointing:
        found.append(
            "features.checkpointing=true (the encoders' activations fall to a fifth or less, the "
            "result stays, steps take a third longer)"
        )
    if device.type == "cuda" and trainer.precision == "32-true":
        found.append("trainer.precision=bf16-mixed (about half of the activations)")
    if tuned and features.trainable != 1:
        n = 4 if features.trainable == "all" else max(1, int(features.trainable) // 2)
        found.append(
            f"features.trainable={n} (gradients, optimiser state and activations of the top {n} "
            "layers only)"
        )
    if features.mode == "frozen":
        found.append("features=cached (the frozen encoders run once, before training)")
    found.append(_cut(trainer))
    return [way for way in found if way][:3]


def _cut(trainer: TrainerConfig) -> str:
    """Where to cut utterances, or cut them sooner."""
    if trainer.max_seconds is None:
        return f"trainer.max_seconds={_FIRST_CUT_S:g} (longer utterances are cut there)"
    return (
        f"trainer.max_seconds={trainer.max_seconds / 2:g} (longer utterances are cut there; "
        "the longest batch halves)"
    )


def _smaller_batch(trainer: TrainerConfig) -> str:
    """The next smaller batch and the accumulation that keeps the effective one, if there is."""
    size, seconds = trainer.batch_size, trainer.batch_seconds
    if seconds is not None:
        parts, key, batch = 2, "batch_seconds", seconds / 2
    elif size is not None and size > 1:
        parts = next(n for n in range(2, size + 1) if size % n == 0)
        key, batch = "batch_size", size // parts
    else:
        return ""
    share = "half" if parts == 2 else f"1/{parts}"
    return (
        f"trainer.{key}={batch:g} trainer.accumulate={parts * trainer.accumulate} "
        f"({share} of the activations; the effective batch and the run's key stay)"
    )
