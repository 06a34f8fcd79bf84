"""What papers print by epoch, as text cells with ours beside every figure."""

from collections.abc import Iterable
from dataclasses import astuple

from sermm.report.grids import NOTHING, Grid, metric_text, points
from sermm.report.learning_curves import PARTS, LearningCurves
from sermm.report.paper_curves import PaperCurve
from sermm.report.paper_grids import unlike
from sermm.report.tables import Table


def curve_grids(table: Table) -> list[Grid]:
    """A grid for each system that is shown and each curve of a paper for it."""
    return [
        _grid(table, curves, paper) for curves in table.curves.values() for paper in curves.papers
    ]


def _grid(table: Table, curves: LearningCurves, paper: PaperCurve) -> Grid:
    theirs = "paper" if paper.data == table.data else f"paper ({paper.data})"
    return Grid(
        title=f"{paper.source}, by epoch: {curves.row.label}",
        note=" ".join(_notes(table, curves, paper)),
        header=("epoch", *(("ours", theirs) * len(PARTS))),
        rows=tuple(
            (str(epoch), *_cells(curves, paper.metric, epoch, dict(zip(PARTS, given, strict=True))))
            for epoch, *given in map(astuple, paper.points)
        ),
        floors=0,
        groups=tuple(PARTS.values()),
        footnotes=(paper.note,) if paper.note else (),
    )


def _notes(table: Table, curves: LearningCurves, paper: PaperCurve) -> Iterable[str]:
    n = curves.row.n_runs
    runs = "one run" if n == 1 else f"mean over {n} runs, or over the n that have the figure"
    yield f"{metric_text(paper.metric)} in percent; ours: {runs}."
    yield from unlike(paper, table.data, table.protocol)


def _cells(
    curves: LearningCurves, metric: str, epoch: int, papers: dict[str, float | None]
) -> Iterable[str]:
    for part, paper in papers.items():
        spread = curves.curve(part, metric).get(epoch)
        all_there = spread is None or spread.n == curves.row.n_runs
        n = "" if all_there or spread is None else f" (n = {spread.n})"
        yield points(spread and spread.mean) + n
        yield NOTHING if paper is None else f"{paper:.2f}"
