"""Tables of text cells from CSV, TSV, JSONL and Parquet files."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars

from sermm.core.errors import InputError
from sermm.core.transcripts import composed

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        where: file and line (or row, for Parquet), for messages.
        cells: text by our name of the column; None where the table has nothing.
    """

    where: str
    cells: Mapping[str, str | None]


def read_table(path: Path, columns: Mapping[str, str], required: Collection[str]) -> Iterator[Row]:
    """Reads some columns of a table, every value as text.

    Args:
        path: the suffix tells the format.
        columns: the table's name of a column by ours.
        required: our names of columns that must be there; others may be missing.

    Raises:
        InputError: the format is unknown, the file cannot be read, has no row, or lacks a column.
    """
    frame = _frame(path)
    frame = frame.rename({name: composed(name) for name in frame.columns})
    columns = {ours: composed(theirs) for ours, theirs in columns.items()}
    names = [columns[ours] for ours in columns if ours in required]
    if missing := [name for name in names if name not in frame.columns]:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; its columns are "
            f"{', '.join(frame.columns)}; name yours by data.columns.OURS=THEIRS"
        )
    if frame.is_empty():
        raise InputError(f"{path}: it has a header but no row")
    unit, first = ("row", 1) if path.suffix.lower() == ".parquet" else ("line", 1)
    first += path.suffix.lower() in _SEPARATORS
    for number, values in enumerate(frame.iter_rows(named=True), start=first):
        cells = {ours: _text(values.get(theirs)) for ours, theirs in columns.items()}
        yield Row(f"{path}, {unit} {number}", cells)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _frame(path: Path) -> polars.DataFrame:
    suffix = path.suffix.lower()
    try:
        if suffix in _SEPARATORS:
            return polars.read_csv(path, separator=_SEPARATORS[suffix], infer_schema=False)
        if suffix == ".jsonl":
            return _json_lines(path)
        if suffix == ".parquet":
            return polars.read_parquet(path)
    except (polars.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a readable {suffix[1:].upper()} table in UTF-8 ({reason})"
        ) from error
    raise InputError(f"{path}: unknown kind of table; use .csv, .tsv, .jsonl or .parquet")


def _json_lines(path: Path) -> polars.DataFrame:
    """Every value as text: a column may hold numbers in one line and words in the next."""
    rows: list[dict[str, str | None]] = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}, line {number}: not JSON ({error.msg})") from error
            if not isinstance(value, dict):
                raise InputError(f"{path}, line {number}: expected an object, got {line[:40]!r}")
            rows.append({key: _text(cell) for key, cell in value.items()})
    names = list(dict.fromkeys(key for row in rows for key in row))
    if not names:
        raise InputError(f"{path}: the file is empty")
    return polars.DataFrame(rows, schema=dict.fromkeys(names, polars.String))
