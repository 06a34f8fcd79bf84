"""Figures by epoch that papers print, as runs bring them along in `result.json`."""

from dataclasses import dataclass
from types import NoneType
from typing import Any

from sermm.metrics.scores import METRICS
from sermm.report.fields import typed

_CURVE = {
    **dict.fromkeys(["source", "metric", "protocol", "data", "note"], (str,)),
    "points": (list,),
}
_FIGURES = ("train", "val")
_POINT = {"epoch": (int,), **dict.fromkeys(_FIGURES, (int, float, NoneType))}


@dataclass(frozen=True)
class PaperPoint:
    """What a paper prints of one epoch.

    Attributes:
        epoch: the first is 1.
        train: in percent, likewise `val`; None where the paper has none.
    """

    epoch: int
    train: float | None
    val: float | None


@dataclass(frozen=True)
class PaperCurve:
    """The figures by epoch of one training run of a paper.

    Attributes:
        metric: what its figures are, one of `sermm.metrics.scores.METRICS`.
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
        """Takes a curve from parsed JSON.

        Raises:
            ValueError: a field is missing or wrong, or an epoch is there twice.
        """
        given = typed(found, _CURVE, "a curve in result.json")
        name = f"the curve of {given['source']} in result.json"
        if given["metric"] not in METRICS:
            raise ValueError(f"{name}: metric is {given['metric']!r}, not in {METRICS}")
        points = [_point(point, name) for point in given.pop("points")]
        if len({point.epoch for point in points}) < max(len(points), 1):
            raise ValueError(f"{name} has no points, or two of the same epoch")
        return cls(**given, points=tuple(sorted(points, key=lambda point: point.epoch)))


def _point(found: Any, name: str) -> PaperPoint:
    given = typed(found, _POINT, f"a point of {name}")
    # JSON may hold 74 for 74.0
    figures = {part: None if given[part] is None else float(given[part]) for part in _FIGURES}
    if given["epoch"] < 1 or not all(0 <= value <= 100 for value in figures.values() if value):
        raise ValueError(
            f"{name}: got the point {found}, expected an epoch of at least 1 and figures in percent"
        )
    return PaperPoint(given["epoch"], **figures)
