"""What it takes to predict one utterance, as the runs of a system measured it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from types import NoneType
from typing import Any

from sermm.runs.reading.fields import typed

_COST = {
    **dict.fromkeys(["device", "precision", "features"], (str,)),
    **dict.fromkeys(["threads", "utterances"], (int,)),
    "ms_per_sample": (int, float),
    "peak_memory_gb": (int, float, NoneType),
}
_WHERE = ("device", "threads", "precision", "features")


@dataclass(frozen=True)
class Cost:
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


def checked(found: Any) -> dict[str, Any] | None:
    """The `cost` of a `result.json`; None for what has none.

    Raises:
        ValueError: a field is missing or is of another type.
    """
    return None if found is None else typed(found, _COST, "cost in result.json")


def costs(found: Iterable[Mapping[str, Any] | None]) -> tuple[Cost, ...]:
    """One for each kind of machine that runs were measured on, in the order of the runs."""
    kinds: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for one in found:
        if one is not None:
            kinds.setdefault(tuple(one[name] for name in _WHERE), []).append(one)
    return tuple(_joined(same) for same in kinds.values())


def _joined(same: list[Mapping[str, Any]]) -> Cost:
    peaks = [one["peak_memory_gb"] for one in same if one["peak_memory_gb"] is not None]
    return Cost(
        **{name: same[0][name] for name in _WHERE},
        ms_per_sample=float(median(one["ms_per_sample"] for one in same)),
        peak_memory_gb=float(max(peaks)) if peaks else None,
        n_runs=len(same),
    )
