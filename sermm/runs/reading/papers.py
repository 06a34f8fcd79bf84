"""The tables of papers that runs bring along in `result.json`.

A table stands once in `conf/paper` and goes into the result of every run that one of its cells is
of. The report joins what runs bring (`merged`) and puts ours beside (`sermm.report.tables`). Cells
say only what is not usual in their table: `_cell` fills in the rest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sermm.core.figures import fixed
from sermm.metrics.names import METRICS
from sermm.runs.fields import record
from sermm.runs.setup import BY_SYSTEM, ENCODERS, FACTS, OPEN, RUNS, undeclarable

# those that `sermm.report.tables.measures` has
FIGURES = (
    *METRICS, "ua_pooled", "f1_pair_mean", "f1_pair_among",
    "parameters", "trainable", "ms_per_sample", "peak_memory_gb",
)  # fmt: skip


@dataclass(frozen=True)
class _Printed:
    """A table as `conf/paper` and `result.json` have it: what is usual is said once."""

    source: str
    title: str
    metric: str
    protocol: str
    data: str
    note: str
    cells: list[Any]
    twin: str | None = None
    pair: tuple[str, ...] | None = None
    setup: dict[str, Any] | None = None


@dataclass(frozen=True)
class _PrintedCell:
    """A cell as the file has it, with what is usual in its table filled in."""

    row: str
    column: str
    system: str | None
    value: float | None
    note: str
    metric: str
    protocol: str
    pair: tuple[str, ...] | None
    minus: str | None


@dataclass(frozen=True)
class PaperCell:
    """One figure of a paper.

    Attributes:
        system: the `variant` of our runs that it is the figure of; None if we have no such system.
        metric: what it is, one of `FIGURES`.
        protocol: its own where it is not its table's.
        pair: the two classes that it is about; empty for most metrics.
        value: as printed: percent, millions, milliseconds or GB; None: the paper speaks of it and
            does not print it.
        minus: the `variant` whose figure is taken off, where the cell is a gain; None for most.
    """

    row: str
    column: str
    system: str | None
    value: float | None
    note: str
    metric: str
    protocol: str
    pair: tuple[str, ...]
    minus: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in its table."""
        return self.row, self.column


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper.

    Attributes:
        metric: what its figures are unless a cell says otherwise, one of `FIGURES`.
        protocol: our name of the protocol that comes nearest to the paper's.
        twin: the honest protocol to put beside a leaky one; None for most.
        data: the corpus that its figures are of.
        setup: what its systems were run with (`sermm.runs.setup`); None: not declared.
    """

    source: str
    title: str
    metric: str
    protocol: str
    data: str
    note: str
    cells: tuple[PaperCell, ...]
    twin: str | None = None
    setup: dict[str, Any] | None = field(default=None, hash=False)

    @classmethod
    def of(cls, found: Any) -> "PaperTable":
        """Takes a table from parsed JSON.

        Args:
            found: an item of `Result.papers`.

        Raises:
            ValueError: a field is missing or wrong, or a cell is there twice.
        """
        given = record(_Printed, found, "a table of papers in result.json")
        name = f"{given.source}, {given.title} in result.json"
        _refuse_metric(given.metric, name)
        refuse_setup(given.setup, name)
        cells = tuple(_cell(cell, given, f"a cell of {name}") for cell in given.cells)
        if len({cell.place for cell in cells}) < max(len(cells), 1):
            raise ValueError(f"{name} has no cells, or two of the same row and column")
        own = {one.name: getattr(given, one.name) for one in fields(cls) if one.name != "cells"}
        return cls(**own, cells=cells)


def _cell(found: Any, table: _Printed, where: str) -> PaperCell:
    """A cell with what is usual in its table where it does not say otherwise."""
    usual = {
        "note": "",
        "metric": table.metric,
        "protocol": table.protocol,
        "pair": table.pair and list(table.pair),
        "minus": None,
    }
    cell = record(_PrintedCell, {**usual, **found} if isinstance(found, dict) else found, where)
    _refuse_metric(cell.metric, where)
    pair = (cell.pair or ()) if cell.metric.startswith("f1_pair") else ()
    if cell.metric.startswith("f1_pair") and len(set(pair)) != 2:
        raise ValueError(f"{where}: {cell.metric} needs pair: two classes, got {list(pair)}")
    return PaperCell(**{**vars(cell), "pair": pair})


def refuse_setup(setup: dict[str, Any] | None, where: str) -> None:
    """Finds a declaration that says something that no run says of itself.

    Args:
        setup: of a table; None: it declares nothing.
        where: the table, for the message.

    Raises:
        ValueError: names the key.
    """
    if setup is None:
        return
    by_system = setup.get(BY_SYSTEM, {})
    if not isinstance(by_system, dict) or not all(isinstance(v, dict) for v in by_system.values()):
        raise ValueError(f"{where}: setup.{BY_SYSTEM} is {by_system!r}, expected keys by system")
    if unknown := undeclarable(setup):
        raise ValueError(
            f"{where}: setup has {', '.join(unknown)}; expected {RUNS}, {BY_SYSTEM} or keys of the "
            f"configuration: {', '.join((*ENCODERS, *FACTS, *(f'{one}...' for one in OPEN)))}"
        )
    runs = setup.get(RUNS, 1)
    if type(runs) is not int or runs < 1:
        raise ValueError(f"{where}: setup.{RUNS} is {runs!r}, expected a number of runs")


def _refuse_metric(metric: str, where: str) -> None:
    if metric not in FIGURES:
        raise ValueError(f"{where}: metric is {metric!r}, not in {FIGURES}")


def merged(tables: Iterable[PaperTable]) -> tuple[PaperTable, ...]:
    """Tables of the same name put together, by title; the first one gives the order of the cells.

    Runs of different commits may bring a table in different states: one knows a cell's system,
    another does not yet. Tables of the same name with another metric, protocol or corpus stay
    apart.

    Args:
        tables: of the runs of a study, most of them the same.
    """
    found: dict[tuple[str, ...], PaperTable] = {}
    for table in dict.fromkeys(tables):
        name = (_natural(table.title), table.source, table.metric, table.protocol, table.data)
        found[name] = _joined(found[name], table) if name in found else table
    return tuple(table for _, table in sorted(found.items()))


def _joined(one: PaperTable, other: PaperTable) -> PaperTable:
    """The cells of both, each once; notes, twin and declaration of the first that has any."""
    cells = {cell.place: cell for cell in one.cells}
    for cell in other.cells:
        first = cells.get(cell.place)
        cells[cell.place] = _same(first, cell) if first else cell
    setups = [setup for setup in (one.setup, other.setup) if setup is not None]
    agree = all(setup == setups[0] for setup in setups)
    told = "" if agree else "other runs of this study declare another set-up for it"
    return replace(
        one,
        note="; ".join(dict.fromkeys(note for note in (one.note, other.note, told) if note)),
        cells=tuple(cells.values()),
        twin=one.twin or other.twin,
        setup=setups[0] if setups else None,
    )


def _same(one: PaperCell, other: PaperCell) -> PaperCell:
    """The first of two records of a cell; runs of different commits may not agree on it."""
    notes = [one.note] if one.note else []
    if other.value is not None and (other.value, other.metric) != (one.value, one.metric):
        metric = "" if other.metric == one.metric else f" ({other.metric})"
        notes.append(f"other runs of this study have {fixed(other.value, 2)}{metric} for it")
    return replace(one, system=one.system or other.system, note="; ".join(notes))


def _natural(title: str) -> str:
    """For sorting: "Table 10" after "Table 9"."""
    return re.sub(r"\d+", lambda number: number[0].zfill(9), title)
