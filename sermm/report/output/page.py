"""Writes a report into a folder: `index.html`, `tables.md`, `results.csv` and figures.

Of a search there is `trials.csv`.

The page is made by a template that gets ready-made text (`templates/report.html`); it shows
pictures from files beside it and needs nothing from elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from sermm.core.files import whole_file, write_text
from sermm.report.output.pictures import Picture, Pictures, draw, pictures, trajectory
from sermm.report.output.text import (
    every_grid,
    formulae,
    markdown,
    open_ends,
    row_notes,
    search_title,
    title,
)
from sermm.report.tables.grids import Grid
from sermm.report.tables.search_grids import chosen_line, search_grids
from sermm.report.tables.searches import SearchTable, trial_records
from sermm.report.tables.tables import Report, Table, summary


@dataclass(frozen=True)
class _Section:
    """What the template shows of a table."""

    table: Table
    title: str
    grids: list[Grid]
    notes: list[str]
    pictures: list[Pictures]


@dataclass(frozen=True)
class _Searched:
    """What the template shows of a search."""

    table: SearchTable
    title: str
    grids: list[Grid]
    chosen: str
    picture: Picture | None


RESULTS, TRIALS = "results.csv", "trials.csv"


def write(report: Report, folder: Path) -> None:
    """Writes the report; files of an earlier report are replaced.

    `results.csv` has one row a system and protocol, `trials.csv` one a trial of a search; their
    scores are fractions. Pictures come first and the page last, so that a page never names a
    picture that is not there.

    Args:
        report: of a study.
        folder: made if it does not exist.
    """
    sections = [_section(table) for table in report.tables]
    draw(report, folder)
    for name, records in csv_files(report).items():
        if records:
            _write_csv(records, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    write_text(folder / "tables.md", markdown(report))
    write_text(folder / "index.html", _html(report, sections))


def csv_files(report: Report) -> dict[str, Sequence[Mapping[str, object]]]:
    """The records of each file, by its name; one without records is not written."""
    return {RESULTS: summary(report), TRIALS: trial_records(report.searches)}


def _searched(table: SearchTable) -> _Searched:
    grids = search_grids(table)
    return _Searched(table, search_title(table), grids, chosen_line(table), trajectory(table))


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
        files=[name for name, records in csv_files(report).items() if records] + ["tables.md"],
        sections=sections,
        searches=[_searched(table) for table in report.searches],
        formulae=formulae(report),
    )
