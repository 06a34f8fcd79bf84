"""Figures by epoch that papers print, as runs bring them along in `result.json`.

They stand in the `curves` of a model's configuration and go into the results of its runs, so that a
report can put ours beside them without the configuration. What a file holds is checked here, once
for all runs of a study that have the same.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from sermm.metrics.names import METRICS
from sermm.runs.fields import record


@dataclass(frozen=True)
class PaperPoint:
    """What a paper prints of one epoch.

    Attributes:
        epoch: the first is 1.
        train: in percent, likewise `val`; None where the paper has none.
        train_loss: likewise `val_loss`.
        ratio: how training and validation compare, as the paper prints it.
    """

    epoch: int
    train: float | None
    val: float | None
    train_loss: float | None = None
    val_loss: float | None = None
    ratio: float | None = None

    @property
    def wa_ratio(self) -> float | None:
        """Training / validation of its scores; above 1 where training goes better."""
        return _quotient(self.train, self.val)

    @property
    def loss_ratio(self) -> float | None:
        """Validation / training of its losses; above 1 where training goes better."""
        return _quotient(self.val_loss, self.train_loss)


@dataclass(frozen=True)
class PaperCurve:
    """The figures by epoch of one training run of a paper.

    Attributes:
        metric: what its figures are, one of `sermm.metrics.names.METRICS`.
        protocol: our name of the protocol that comes nearest to the paper's.
        data: the corpus that its figures are of.
        points: by epoch, rising.
    """

    source: str
    metric: str
    protocol: str
    data: str
    note: str
    points: tuple[PaperPoint, ...]

    @classmethod
    def of(cls, found: Any) -> "PaperCurve":
        """Takes a curve from parsed JSON; its points come sorted by epoch.

        Args:
            found: an item of `Result.curves`.

        Raises:
            ValueError: a field is missing or wrong, or an epoch is there twice.
        """
        curve = record(cls, found, "a curve in result.json")
        name = f"the curve of {curve.source} in result.json"
        if curve.metric not in METRICS:
            raise ValueError(f"{name}: metric is {curve.metric!r}, not in {METRICS}")
        for point in curve.points:
            _refuse_impossible(point, name)
        if len({point.epoch for point in curve.points}) < max(len(curve.points), 1):
            raise ValueError(f"{name} has no points, or two of the same epoch")
        return replace(curve, points=tuple(sorted(curve.points, key=lambda point: point.epoch)))


def _quotient(above: float | None, below: float | None) -> float | None:
    """None where one of them is not known, or the lower one is 0."""
    return above / below if above is not None and below else None


def _refuse_impossible(point: PaperPoint, name: str) -> None:
    """Refuses what cannot be: epoch 0, more than 100 percent, what is negative or not finite."""
    shares = [share or 0.0 for share in (point.train, point.val)]
    others = [figure or 0.0 for figure in (point.train_loss, point.val_loss, point.ratio)]
    in_percent = all(0 <= share <= 100 for share in shares)
    if point.epoch < 1 or not in_percent or not all(0 <= x < math.inf for x in others):
        raise ValueError(
            f"{name}: got {point}, expected an epoch of at least 1 and figures in percent, losses "
            "and ratios of at least 0"
        )
