"""Scores and losses by epoch: what the epochs of a system's runs say together.

Runs stop at different epochs, so a point says how many of them it is of: late ones are of few. Mean
and range are kept, as there are too few runs for more. What papers print by epoch goes along
(`PaperCurve`), to be drawn and tabulated beside.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import NamedTuple

from sermm.core.errors import InputError
from sermm.metrics.names import METRICS
from sermm.report.tables.rows import Row
from sermm.runs.metrics import Epoch, Figures, read_epochs
from sermm.runs.reading.paper_curves import PaperCurve
from sermm.runs.reading.runs import Run

LOSS = "loss"
PARTS = {"train": "training", "val": "validation"}
_Values = dict[str, dict[int, float]]
RATIOS = {
    "overfit/wa_ratio": "WA ratio, training / validation",
    "overfit/loss_ratio": "loss ratio, validation / training",
}
# Of what co-attention measures on itself (`sermm.models.coattention`), before a stream's name.
COSINE = "val/cosine_"
_COLUMNS = [*(f"{part}/{name}" for part in PARTS for name in (LOSS, *METRICS)), *RATIOS]


class Spread(NamedTuple):
    """A figure of one epoch, over the `n` runs that got so far; scores are fractions."""

    mean: float
    low: float
    high: float
    n: int


Curve = dict[int, Spread]


@dataclass(frozen=True)
class LearningCurves:
    """How a system learned, over all of its runs.

    Attributes:
        row: the row of the system.
        metric: the score to draw: that of the first of `papers`, else the protocol's headline, or
            another one where no run has it by epoch.
        by_name: curves by name ("val/wa") and epoch; what no run has is not there, nor a value that
            is not finite.
        papers: what papers print by epoch for the system.
        cosines: of the branches of a co-attention at the chosen epoch, by speech stream; empty for
            other systems.
        damaged: why runs are not in them, one sentence each.
    """

    row: Row
    metric: str
    by_name: dict[str, Curve]
    papers: tuple[PaperCurve, ...]
    damaged: tuple[str, ...] = ()
    cosines: Mapping[str, Spread] = field(default_factory=dict)

    @property
    def drawable(self) -> bool:
        """Whether there is more than one epoch."""
        return any(len(curve) > 1 for curve in self.by_name.values())

    def curve(self, part: str, name: str) -> Curve:
        """The curve of a part ("train" or "val") and a score or the loss; may be empty."""
        return self.by_name.get(f"{part}/{name}", {})


def learning_curves(
    row: Row, runs: Sequence[Run], shows: Callable[[str, str], bool]
) -> LearningCurves:
    """The curves of one system; runs without epochs (combinations, floors) have none.

    Args:
        row: of the system.
        runs: of the system; their `metrics.csv` is read here, and only for systems that are shown.
            One that cannot be read costs the curve of its run, not the report.
        shows: whether figures of a paper (source, corpus) may stand beside.
    """
    first = runs[0].result
    known = dict.fromkeys(PaperCurve.of(found) for found in first.curves)
    papers = tuple(paper for paper in known if shows(paper.source, paper.data))
    readable, chosen, damaged = [], [], []
    for run in runs:
        try:
            epochs = read_epochs(run.folder)
            readable.append(_values(epochs))
            chosen += [one.figures for one in epochs if one.number == run.result.epochs.best]
        except InputError as error:
            damaged.append(f"not in the learning curves: {error}")
    by_name = _curves(readable)
    wanted = [*(paper.metric for paper in papers), first.headline, *METRICS]
    there = [name for name in wanted if any(f"{part}/{name}" in by_name for part in PARTS)]
    metric = next(iter(there), wanted[0])
    return LearningCurves(row, metric, by_name, papers, tuple(damaged), _cosines(chosen))


def _cosines(chosen: Sequence[Figures]) -> dict[str, Spread]:
    """By stream, over the runs; `chosen` are the figures of their chosen epochs."""
    names = dict.fromkeys(n for figures in chosen for n in figures if n.startswith(COSINE))
    values = {name: [one[name] for one in chosen if name in one] for name in names}
    return {
        name.removeprefix(COSINE): Spread(fmean(some), min(some), max(some), len(some))
        for name, some in values.items()
    }


def _values(epochs: Sequence[Epoch]) -> _Values:
    """By name and epoch what is finite."""
    found: _Values = {}
    for number, figures in epochs:
        for name in figures.keys() & set(_COLUMNS):
            if math.isfinite(figures[name]):
                found.setdefault(name, {})[number] = figures[name]
    return found


def _curves(runs: Sequence[_Values]) -> dict[str, Curve]:
    found = {name: _curve([run[name] for run in runs if name in run]) for name in _COLUMNS}
    return {name: curve for name, curve in found.items() if curve}


def _curve(runs: Sequence[Mapping[int, float]]) -> Curve:
    """Mean and range at each epoch that a run got to."""
    by_epoch: dict[int, list[float]] = {}
    for run in runs:
        for epoch, value in run.items():
            by_epoch.setdefault(epoch, []).append(value)
    return {
        epoch: Spread(fmean(values), min(values), max(values), len(values))
        for epoch, values in sorted(by_epoch.items())
    }
