"""Learning-rate schedules as factors of the step.

With r steps of warmup out of n, step i from 0, and f a shape:

    factor(i) = (i + 1) / r  for i < r,  f((i - r) / (n - r))  from there on

A factor multiplies the rate of every parameter group alike, so their proportions stay.
"""

import math
from collections.abc import Callable

from sermm.core.errors import InputError

SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,  # noqa: ARG005
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}


def schedule(shape: str, warmup: float, steps: int) -> Callable[[int], float]:
    """The factor of the learning rate at a step.

    Args:
        shape: constant, linear or cosine; the latter two end at zero.
        warmup: share of `steps` in which the factor rises linearly to one.
        steps: of the optimiser in the whole training; early stopping does not shorten the schedule.

    Returns:
        The factor, 0..1, by step from 0.

    Raises:
        InputError: no such shape, or the share is not in 0..1.
    """
    if shape not in SHAPES:
        raise InputError(f"model.learning.schedule must be one of {sorted(SHAPES)}, got {shape!r}")
    if not 0.0 <= warmup < 1.0:
        raise InputError(f"model.learning.warmup is a share of the steps, 0..1, got {warmup}")
    rise = round(warmup * steps)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return SHAPES[shape](min(1.0, (step - rise) / max(1, steps - rise)))

    return factor
