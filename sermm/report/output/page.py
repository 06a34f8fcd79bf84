"""Writes a report into a folder: `index.html`, `tables.md`, `results.csv` and figures.

The page is made by a template that gets ready-made text (`templates/report.html`); it shows
pictures from files beside it and needs nothing from elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from sermm.core.files import whole_file, write_text
from sermm.report.output.pictures import Pictures, draw, pictures
from sermm.report.output.text import every_grid, markdown, open_ends, row_notes, title
from sermm.report.tables.grids import FORMULAE, Grid
from sermm.report.tables.tables import Report, Table, summary


@dataclass(frozen=True)
class _Section:
    """What the template shows of a table."""

    table: Table
    title: str
    grids: list[Grid]
    notes: list[str]
    pictures: list[Pictures]


def write(report: Report, folder: Path) -> None:
    """Writes the report; files of an earlier report are replaced.

    `results.csv` has one row a system and protocol; its scores are fractions. Pictures come first
    and the page last, so that a page never names a picture that is not there.

    Args:
        report: of a study.
        folder: made if it does not exist.
    """
    sections = [_section(table) for table in report.tables]
    draw(report.tables, folder)
    _write_csv(summary(report), folder / "results.csv")
    write_text(folder / "tables.md", markdown(report))
    write_text(folder / "index.html", _html(report, sections))


def _section(table: Table) -> _Section:
    return _Section(table, title(table), every_grid(table), row_notes(table), pictures(table))


def _write_csv(records: Sequence[Mapping[str, object]], path: Path) -> None:
    """The records as columns; what a record lacks (an act, a class of another table) is empty."""
    frame = pl.concat((pl.DataFrame([record]) for record in records), how="diagonal_relaxed")
    with whole_file(path) as temporary:
        frame.write_csv(temporary)


def _html(report: Report, sections: Sequence[_Section]) -> str:
    environment = Environment(
        loader=PackageLoader("sermm.report.output", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        study=report.study,
        open_ends=open_ends(report),
        sections=sections,
        formulae=FORMULAE,
    )
