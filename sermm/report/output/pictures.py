"""Which pictures a report has: their files, and what they say to those who cannot see them.

The names and texts are made without matplotlib, as the terminal and `keep=` need these only. Names
hold a digest: two systems may have labels that are the same but for characters no file may have.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sermm.core import figures
from sermm.core.digest import digest
from sermm.report.output.text import search_title, title
from sermm.report.tables.grids import percent
from sermm.report.tables.learning_curves import LOSS, PARTS, Curve, LearningCurves
from sermm.report.tables.measures import metric_text
from sermm.report.tables.rows import Row
from sermm.report.tables.search_grids import chosen_line
from sermm.report.tables.searches import SearchTable
from sermm.report.tables.tables import Report, Table


@dataclass(frozen=True)
class Picture:
    """A file beside the page, and its text.

    Attributes:
        file: its name in the report's folder.
        alt: what the picture says, in words and numbers, for screen readers.
    """

    file: str
    alt: str


@dataclass(frozen=True)
class Pictures:
    """The pictures of a system.

    Attributes:
        learning: None where no run has more than one epoch.
    """

    row: Row
    confusion: Picture
    learning: Picture | None


def pictures(table: Table) -> list[Pictures]:
    """The pictures of the systems that are shown."""
    return [_of(table, row) for row in table.shown]


def _of(table: Table, row: Row) -> Pictures:
    confusion = Picture(_file("confusion", table, row), _confusion_alt(table, row))
    curves = table.curves[row.system]
    if not curves.drawable:
        return Pictures(row, confusion, None)
    learning = Picture(_file("curves", table, row), _learning_alt(table, curves))
    return Pictures(row, confusion, learning)


def _file(kind: str, table: Table, row: Row) -> str:
    """Readable, unique by a digest of table and system, and no longer than a file name may be."""
    where = digest([table.data, table.protocol, table.classes, row.system])[:8]
    name = re.sub(r"[^\w.=-]+", "-", f"{table.protocol}-{row.label}")[:80]
    return f"{kind}-{name}-{where}.png"


def _confusion_alt(table: Table, row: Row) -> str:
    shares = (
        f"{name} {figures.percent(value, 0)} %"
        for name, value in row.recall.items()
        if value is not None
    )
    return f"Confusion matrix of {row.label}, {title(table)}; recall: {', '.join(shares)}"


def _learning_alt(table: Table, curves: LearningCurves) -> str:
    courses = [
        f"{word} {_course(curve, name, curves.row.best_epoch)}"
        for name in (curves.metric, LOSS)
        for part, word in PARTS.items()
        if (curve := curves.curve(part, name))
    ]
    return f"Learning curves of {curves.row.label}, {title(table)}; {'; '.join(courses)}"


def _course(curve: Curve, name: str, best: float | None) -> str:
    """A curve at its first epoch, at that nearest to the best one, and at its last."""
    marked = {round(best): " (best)"} if best is not None and round(best) in curve else {}
    epochs = sorted({min(curve), *marked, max(curve)})
    values = [f"{_value(curve[e].mean, name)} at epoch {e}{marked.get(e, '')}" for e in epochs]
    return f"{name if name == LOSS else metric_text(name)} {', '.join(values)}"


def _value(value: float, name: str) -> str:
    return figures.fixed(value, 2) if name == LOSS else f"{percent(value)} %"


def trajectory(search: SearchTable) -> Picture | None:
    """The picture of a search; None where fewer than two trials have a number and a value."""
    if len(search.steps) < 2:
        return None
    first, last = search.steps[0], search.steps[-1]
    where = digest([search.data, search.protocol])[:8]
    return Picture(
        f"trials-{search.protocol}-{where}.png",
        f"Trials of {search_title(search)}; best so far {percent(first.best)} % at trial "
        f"{first.number}, {percent(last.best)} % at trial {last.number}; {chosen_line(search)}",
    )


def draw(report: Report, folder: Path) -> None:
    """Writes all pictures; those of an earlier report go.

    Args:
        report: whose pictures they are.
        folder: of the report.
    """
    # matplotlib takes a second to import, which the terminal's table need not wait for
    from sermm.report.output.curve_figures import draw_curves
    from sermm.report.output.figures import draw_confusion
    from sermm.report.output.search_figures import draw_trials

    current = set()
    for search in report.searches:
        if picture := trajectory(search):
            draw_trials(folder / picture.file, search)
            current.add(picture.file)
    for table in report.tables:
        for of in pictures(table):
            draw_confusion(folder / of.confusion.file, of.row.confusion, table.classes)
            current.add(of.confusion.file)
            if of.learning:
                draw_curves(folder / of.learning.file, table.curves[of.row.system], table.data)
                current.add(of.learning.file)
    remove_others(folder, current)


def remove_others(folder: Path, current: Collection[str]) -> None:
    """Removes the pictures of earlier reports.

    Args:
        folder: only pictures that are named as ours are looked at.
        current: names to keep.
    """
    for kind in ("confusion", "curves", "trials"):
        for old in folder.glob(f"{kind}-*.png"):
            if old.name not in current:
                old.unlink()
