"""The tables of papers that runs bring along in `result.json`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

from sermm.metrics.names import METRICS
from sermm.runs.reading.fields import typed

# those that `sermm.report.tables.measures` has
FIGURES = (
    *METRICS, "f1_pair_mean", "f1_pair_among",
    "parameters", "trainable", "ms_per_sample", "peak_memory_gb",
)  # fmt: skip
_TABLE = {
    **dict.fromkeys(["source", "title", "metric", "protocol", "data", "note"], (str,)),
    "cells": (list,),
    "twin": (str, NoneType),
    "pair": (list, NoneType),
}
_CELL = {
    **dict.fromkeys(["row", "column", "note"], (str,)),
    "system": (str, NoneType),
    "value": (int, float),
    "metric": (str,),
    "pair": (list, NoneType),
}


@dataclass(frozen=True)
class PaperCell:
    """One figure of a paper.

    Attributes:
        system: the `variant` of our runs that it is the figure of; None if we have no such system.
        metric: what it is, one of `FIGURES`.
        pair: the two classes that it is about; empty for most metrics.
        value: as printed: percent, millions, milliseconds or GB.
    """

    row: str
    column: str
    system: str | None
    value: float
    note: str
    metric: str
    pair: tuple[str, ...]

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
    """

    source: str
    title: str
    metric: str
    protocol: str
    data: str
    note: str
    cells: tuple[PaperCell, ...]
    twin: str | None = None

    @classmethod
    def of(cls, found: Any) -> "PaperTable":
        """Takes a table from parsed JSON.

        Raises:
            ValueError: a field is missing or wrong, or a cell is there twice.
        """
        known = {"twin": None, "pair": None, **found} if isinstance(found, dict) else found
        given = typed(known, _TABLE, "a table of papers in result.json")
        name = f"{given['source']}, {given['title']} in result.json"
        _refuse_metric(given["metric"], name)
        usual = {"note": "", "metric": given["metric"], "pair": given.pop("pair")}
        cells = tuple(_cell(cell, usual, f"a cell of {name}") for cell in given.pop("cells"))
        if len({cell.place for cell in cells}) < max(len(cells), 1):
            raise ValueError(f"{name} has no cells, or two of the same row and column")
        return cls(**given, cells=cells)


def _cell(found: Any, usual: dict[str, Any], where: str) -> PaperCell:
    """A cell with what is usual in its table where it does not say otherwise."""
    given = typed({**usual, **found} if isinstance(found, dict) else found, _CELL, where)
    _refuse_metric(given["metric"], where)
    about_two, named = given["metric"].startswith("f1_pair"), given["pair"]
    pair = tuple(map(str, named or ())) if about_two else ()
    if about_two and len(set(pair)) != 2:
        raise ValueError(f"{where}: {given['metric']} needs pair: two classes, got {list(pair)}")
    # JSON may hold 74 for 74.0
    return PaperCell(**{**given, "value": float(given["value"]), "pair": pair})


def _refuse_metric(metric: str, where: str) -> None:
    if metric not in FIGURES:
        raise ValueError(f"{where}: metric is {metric!r}, not in {FIGURES}")


def merged(tables: Iterable[PaperTable]) -> tuple[PaperTable, ...]:
    """Tables of the same name put together, by title; the first one gives the order of the cells.

    Tables of the same name with another metric, protocol or corpus stay apart.
    """
    found: dict[tuple[str, ...], PaperTable] = {}
    for table in dict.fromkeys(tables):
        name = (_natural(table.title), table.source, table.metric, table.protocol, table.data)
        found[name] = _joined(found[name], table) if name in found else table
    return tuple(table for _, table in sorted(found.items()))


def _joined(one: PaperTable, other: PaperTable) -> PaperTable:
    cells = {cell.place: cell for cell in one.cells}
    for cell in other.cells:
        first = cells.get(cell.place)
        cells[cell.place] = _same(first, cell) if first else cell
    notes = dict.fromkeys(note for note in (one.note, other.note) if note)
    twin = one.twin or other.twin
    return replace(one, note="; ".join(notes), cells=tuple(cells.values()), twin=twin)


def _same(one: PaperCell, other: PaperCell) -> PaperCell:
    """The first of two records of a cell; runs of different commits may not agree on it."""
    notes = [one.note] if one.note else []
    if (other.value, other.metric) != (one.value, one.metric):
        metric = "" if other.metric == one.metric else f" ({other.metric})"
        notes.append(f"other runs of this study have {other.value:.2f}{metric} for it")
    return replace(one, system=one.system or other.system, note="; ".join(notes))


def _natural(title: str) -> str:
    return re.sub(r"\d+", lambda number: number[0].zfill(9), title)
