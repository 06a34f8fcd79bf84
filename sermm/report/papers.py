"""The tables of papers that runs bring along in `result.json`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

from sermm.metrics.scores import METRICS
from sermm.report.fields import typed

_TABLE = {
    **dict.fromkeys(["source", "title", "metric", "protocol", "data", "note"], (str,)),
    "cells": (list,),
}
_CELL = {
    **dict.fromkeys(["row", "column", "note"], (str,)),
    "system": (str, NoneType),
    "value": (int, float),
}


@dataclass(frozen=True)
class PaperCell:
    """One figure of a paper.

    Attributes:
        system: the `variant` of our runs that it is the figure of; None if we have no such system.
        value: as printed, in percent.
    """

    row: str
    column: str
    system: str | None
    value: float
    note: str

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands in its table."""
        return self.row, self.column


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper.

    Attributes:
        metric: what all its figures are, one of `sermm.metrics.scores.METRICS`.
        protocol: our name of the protocol that comes nearest to the paper's.
        data: the corpus that its figures are of.
    """

    source: str
    title: str
    metric: str
    protocol: str
    data: str
    note: str
    cells: tuple[PaperCell, ...]

    @classmethod
    def of(cls, found: Any) -> "PaperTable":
        """Takes a table from parsed JSON.

        Raises:
            ValueError: a field is missing or wrong, or a cell is there twice.
        """
        given = typed(found, _TABLE, "a table of papers in result.json")
        name = f"{given['source']}, {given['title']} in result.json"
        if given["metric"] not in METRICS:
            raise ValueError(f"{name}: metric is {given['metric']!r}, not in {METRICS}")
        cells = tuple(_cell(cell, f"a cell of {name}") for cell in given.pop("cells"))
        if len({cell.place for cell in cells}) < max(len(cells), 1):
            raise ValueError(f"{name} has no cells, or two of the same row and column")
        return cls(**given, cells=cells)


def _cell(found: Any, where: str) -> PaperCell:
    """Most cells have no note."""
    noted = {"note": "", **found} if isinstance(found, dict) else found
    return PaperCell(**typed(noted, _CELL, where))


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
    return replace(one, note="; ".join(notes), cells=tuple(cells.values()))


def _same(one: PaperCell, other: PaperCell) -> PaperCell:
    """The first of two records of a cell; runs of different commits may not agree on it."""
    notes = [one.note] if one.note else []
    if other.value != one.value:
        notes.append(f"other runs of this study have {other.value:.2f} for it")
    return replace(one, system=one.system or other.system, note="; ".join(notes))


def _natural(title: str) -> str:
    return re.sub(r"\d+", lambda number: number[0].zfill(9), title)
