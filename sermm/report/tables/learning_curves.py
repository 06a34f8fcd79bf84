"""Scores and losses by epoch: what the `metrics.csv` of a system's runs say together."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple, TextIO

from sermm.core.errors import InputError
from sermm.metrics.names import METRICS
from sermm.report.tables.rows import Row
from sermm.runs.reading.paper_curves import PaperCurve
from sermm.runs.reading.runs import Run

LOSS = "loss"
PARTS = {"train": "training", "val": "validation"}
_Values = dict[str, dict[int, float]]
RATIOS = {
    "overfit/wa_ratio": "WA ratio, training / validation",
    "overfit/loss_ratio": "loss ratio, validation / training",
}
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
        by_name: curves by `metrics.csv` column ("val/wa") and epoch; a column that no run has is
            not there, nor a value that is not finite.
        papers: what papers print by epoch for the system.
    """

    row: Row
    metric: str
    by_name: dict[str, Curve]
    papers: tuple[PaperCurve, ...]

    @property
    def drawable(self) -> bool:
        """Whether there is more than one epoch."""
        return any(len(curve) > 1 for curve in self.by_name.values())

    def curve(self, part: str, name: str) -> Curve:
        """The curve of a part ("train" or "val") and a score or the loss; may be empty."""
        return self.by_name.get(f"{part}/{name}", {})


def learning_curves(row: Row, runs: Sequence[Run]) -> LearningCurves:
    """The curves of one system; runs without `metrics.csv` (combinations, floors) have none.

    Raises:
        InputError: a `metrics.csv` cannot be read.
    """
    first = runs[0].result
    papers = tuple(dict.fromkeys(PaperCurve.of(found) for found in first.curves))
    paths = [run.folder / "metrics.csv" for run in runs]
    by_name = _curves([_read(path) for path in paths if path.is_file()])
    wanted = [*(paper.metric for paper in papers), first.headline, *METRICS]
    known = [name for name in wanted if any(f"{part}/{name}" in by_name for part in PARTS)]
    return LearningCurves(row, next(iter(known), wanted[0]), by_name, papers)


def _read(path: Path) -> _Values:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return _values(file)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"cannot read {path}: {error}; remove the file to report without the curve of this "
            "run, or the run's folder to train it again"
        ) from error


def _values(file: TextIO) -> _Values:
    """By column and epoch what is there and finite."""
    rows = csv.DictReader(file)
    names = rows.fieldnames or ()
    if "epoch" not in names:
        raise ValueError(f"expected a column epoch, got {', '.join(names) or 'an empty file'}")
    found: _Values = {name: {} for name in _COLUMNS if name in names}
    epochs: set[int] = set()
    for row in rows:
        epoch = int(row["epoch"] or "")
        if epoch in epochs:
            raise ValueError(f"epoch {epoch} is there twice")
        epochs.add(epoch)
        for name, values in found.items():
            if math.isfinite(value := float(row[name] or "nan")):
                values[epoch] = value
    return found


def _curves(runs: Sequence[_Values]) -> dict[str, Curve]:
    found = {name: _curve([run[name] for run in runs if name in run]) for name in _COLUMNS}
    return {name: curve for name, curve in found.items() if curve}


def _curve(runs: Sequence[Mapping[int, float]]) -> Curve:
    by_epoch: dict[int, list[float]] = {}
    for run in runs:
        for epoch, value in run.items():
            by_epoch.setdefault(epoch, []).append(value)
    return {
        epoch: Spread(fmean(values), min(values), max(values), len(values))
        for epoch, values in sorted(by_epoch.items())
    }
