"""What it takes to predict one utterance, as the runs of a system measured it.

The engine measures it at the end of a run (`sermm.engine.cost`). Times of different machines,
threads or precisions cannot be averaged, so the runs of a system give one figure for each kind.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from sermm.runs.result import Cost

_WHERE = ("device", "threads", "precision", "features")


@dataclass(frozen=True)
class CostOfRuns:
    """Of the runs of a system that were measured on the same kind of machine.

    Attributes:
        features: the run's `features.mode`; "cached" is without the encoders.
        ms_per_sample: median over the runs.
        peak_memory_gb: the greatest of the runs, 10^9 bytes; None where no run has it.
        n_runs: how many.
    """

    device: str
    threads: int
    precision: str
    features: str
    ms_per_sample: float
    peak_memory_gb: float | None
    n_runs: int

    @property
    def where(self) -> str:
        """What it was measured on, for people."""
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        without = "; features cached, without the encoders" if self.features == "cached" else ""
        return f"{self.device}, {threads}, {self.precision}{without}"


def costs(found: Iterable[Cost | None]) -> tuple[CostOfRuns, ...]:
    """One for each kind of machine that runs were measured on, in the order of the runs.

    Args:
        found: of the runs of one system; None for those that were not measured.
    """
    kinds: dict[tuple[Any, ...], list[Cost]] = {}
    for one in found:
        if one is not None:
            kinds.setdefault(tuple(getattr(one, name) for name in _WHERE), []).append(one)
    return tuple(_joined(same) for same in kinds.values())


def _joined(same: list[Cost]) -> CostOfRuns:
    """Of runs on one kind of machine: a slow one among them moves the median little."""
    peaks = [one.peak_memory_gb for one in same if one.peak_memory_gb is not None]
    return CostOfRuns(
        **{name: getattr(same[0], name) for name in _WHERE},
        ms_per_sample=float(median(one.ms_per_sample for one in same)),
        peak_memory_gb=float(max(peaks)) if peaks else None,
        n_runs=len(same),
    )
