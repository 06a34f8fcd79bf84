"""Writes a report into a folder: `index.html`, `tables.md`, `results.csv` and figures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from sermm.core.digest import digest
from sermm.core.files import whole_file, write_text
from sermm.report.grids import FORMULAE, Grid, grids
from sermm.report.paper_grids import paper_grids
from sermm.report.rows import Row
from sermm.report.tables import Report, Table, summary
from sermm.report.text import markdown, open_ends, row_notes, title

# a picture takes a tenth of a second: a sweep over hundreds of systems shows its best ones
MAX_FIGURES = 24


@dataclass(frozen=True)
class _Picture:
    file: str
    row: Row
    alt: str


@dataclass(frozen=True)
class _Section:
    """What the template shows of a table."""

    table: Table
    title: str
    grids: list[Grid]
    notes: list[str]
    pictures: list[_Picture]


def write(report: Report, folder: Path) -> None:
    """Writes the report; files of an earlier report are replaced.

    `results.csv` has one row a system and protocol; its scores are fractions.
    """
    sections = [_section(table) for table in report.tables]
    _draw(sections, folder)
    _write_csv(summary(report), folder / "results.csv")
    write_text(folder / "tables.md", markdown(report))
    write_text(folder / "index.html", _html(report, sections))


def _section(table: Table) -> _Section:
    shown = table.rows[:MAX_FIGURES]
    pictures = [_Picture(_file(table, row), row, _alt(table, row)) for row in shown]
    every = [*paper_grids(table), *grids(table)]
    return _Section(table, title(table), every, row_notes(table), pictures)


def _file(table: Table, row: Row) -> str:
    where = digest([table.data, table.protocol, table.classes, row.system])[:8]
    name = re.sub(r"[^\w.=-]+", "-", f"{table.protocol}-{row.label}")[:80]
    return f"confusion-{name}-{where}.png"


def _alt(table: Table, row: Row) -> str:
    shares = (
        f"{name} {100 * value:.0f} %" for name, value in row.recall.items() if value is not None
    )
    return f"Confusion matrix of {row.label}, {title(table)}; recall: {', '.join(shares)}"


def _draw(sections: Sequence[_Section], folder: Path) -> None:
    # matplotlib takes a second to import, which the terminal's table need not wait for
    from sermm.report.figures import draw_confusion

    current = set()
    for section in sections:
        for picture in section.pictures:
            draw_confusion(folder / picture.file, picture.row.confusion, section.table.classes)
            current.add(picture.file)
    for old in folder.glob("confusion-*.png"):
        if old.name not in current:
            old.unlink()


def _write_csv(records: Sequence[Mapping[str, object]], path: Path) -> None:
    frame = pl.concat((pl.DataFrame([record]) for record in records), how="diagonal_relaxed")
    with whole_file(path) as temporary:
        frame.write_csv(temporary)


def _html(report: Report, sections: Sequence[_Section]) -> str:
    environment = Environment(
        loader=PackageLoader("sermm.report", "templates"),
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
        n_figures=MAX_FIGURES,
    )
