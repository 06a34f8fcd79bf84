"""Runs that are scored with their last epoch though validation chose one: what that one came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from sermm.metrics.names import METRICS
from sermm.runs.reading.runs import Run


@dataclass(frozen=True)
class OtherEpochs:
    """The epochs that validation chose, of the runs of one system. Scores are fractions by metric.

    Attributes:
        n_runs: how many runs say what theirs came to.
        epoch: mean number.
        mean: over those runs, of the test part.
        sd: sample standard deviation; None for a single run.
    """

    n_runs: int
    epoch: float
    mean: dict[str, float]
    sd: dict[str, float | None]


def other_epochs(runs: Sequence[Run]) -> OtherEpochs | None:
    """What the runs of a system say of the epochs that validation chose; None if none does."""
    found = [run.result.other_epoch for run in runs if run.result.other_epoch is not None]
    if not found:
        return None
    scores = {name: [one.metrics.get(f"test/{name}") for one in found] for name in METRICS}
    known = {name: [v for v in values if v is not None] for name, values in scores.items()}
    return OtherEpochs(
        n_runs=len(found),
        epoch=float(mean(one.epoch for one in found)),
        mean={name: mean(values) for name, values in known.items() if values},
        sd={
            name: stdev(values) if len(values) > 1 else None
            for name, values in known.items()
            if values
        },
    )
