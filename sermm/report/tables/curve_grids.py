"""What papers print by epoch, as text cells with ours beside every figure.

Rows are the epochs that the paper prints, not all of ours. Where it prints losses, the
ratios of training and validation follow, computed from its figures, and as it prints them itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sermm.core.figures import fixed
from sermm.report.tables.grids import NOTHING, Grid
from sermm.report.tables.learning_curves import LOSS, PARTS, RATIOS, LearningCurves
from sermm.report.tables.measures import metric_text
from sermm.report.tables.paper_grids import unlike
from sermm.report.tables.tables import Table
from sermm.runs.reading.paper_curves import PaperCurve, PaperPoint


@dataclass(frozen=True)
class _Column:
    """What a paper prints by epoch, or what follows from it.

    Attributes:
        name: that ours have by epoch; None where only the paper has it.
        scale: ours times this is in the paper's unit.
        theirs: above the paper's figures.
    """

    title: str
    name: str | None
    scale: float
    paper: Callable[[PaperPoint], float | None]
    theirs: str = "paper"


def curve_grids(table: Table) -> list[Grid]:
    """A grid for each system that is shown and each curve of a paper for it.

    Where the paper prints losses, these and what they come to as ratios are in it too.
    """
    return [
        _grid(table, curves, paper) for curves in table.curves.values() for paper in curves.papers
    ]


def _grid(table: Table, curves: LearningCurves, paper: PaperCurve) -> Grid:
    columns = list(_columns(paper))
    corpus = "" if paper.data == table.data else f" ({paper.data})"
    heads = [[*(["ours"] if column.name else []), column.theirs + corpus] for column in columns]
    return Grid(
        title=f"{paper.source}, by epoch: {curves.row.label}",
        note=" ".join(_notes(table, curves, paper)),
        header=("epoch", *(name for head in heads for name in head)),
        rows=tuple(
            (str(point.epoch), *(cell for c in columns for cell in _cells(curves, c, point)))
            for point in paper.points
        ),
        floors=0,
        groups=tuple(column.title for column in columns),
        spans=tuple(len(head) for head in heads),
        footnotes=(paper.note,) if paper.note else (),
    )


def _columns(paper: PaperCurve) -> Iterable[_Column]:
    """Losses where the paper prints them, then scores, then what follows from both."""
    losses = any(point.train_loss or point.val_loss for point in paper.points)
    metric = f"{metric_text(paper.metric)}, " if losses else ""
    if losses:
        yield _Column("loss, training", f"train/{LOSS}", 1.0, lambda point: point.train_loss)
        yield _Column("loss, validation", f"val/{LOSS}", 1.0, lambda point: point.val_loss)
    train, val = (f"{part}/{paper.metric}" for part in PARTS)
    yield _Column(metric + PARTS["train"], train, 100.0, lambda point: point.train)
    yield _Column(metric + PARTS["val"], val, 100.0, lambda point: point.val)
    if losses:
        yield from _ratios(paper)


def _ratios(paper: PaperCurve) -> Iterable[_Column]:
    """How training and validation compare; the ratio as printed has no column of ours."""
    by_wa, by_loss = RATIOS
    if paper.metric == "wa":
        yield _Column(RATIOS[by_wa], by_wa, 1.0, lambda point: point.wa_ratio, "from the paper's")
    yield _Column(RATIOS[by_loss], by_loss, 1.0, lambda point: point.loss_ratio, "from the paper's")
    if any(point.ratio is not None for point in paper.points):
        yield _Column("ratio as printed", None, 1.0, lambda point: point.ratio)


def _notes(table: Table, curves: LearningCurves, paper: PaperCurve) -> Iterable[str]:
    n = curves.row.n_runs
    runs = "one run" if n == 1 else f"mean over {n} runs, or over the n that have the figure"
    yield f"{metric_text(paper.metric)} in percent; ours: {runs}."
    yield from unlike(paper, table.data, table.protocol)


def _cells(curves: LearningCurves, column: _Column, point: PaperPoint) -> Iterable[str]:
    """Ours, if the column has ours, then the paper's, at one epoch.

    Ours are of the runs that got so far; how many, where not all did.
    """
    if column.name is not None:
        spread = curves.by_name.get(column.name, {}).get(point.epoch)
        all_there = spread is None or spread.n == curves.row.n_runs
        n = "" if all_there or spread is None else f" (n = {spread.n})"
        yield (NOTHING if spread is None else fixed(spread.mean, 2, column.scale)) + n
    value = column.paper(point)
    yield NOTHING if value is None else fixed(value, 2)
