"""Tables of text cells from CSV, TSV, JSONL and Parquet files."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars

from sermm.core.errors import InputError, first_line
from sermm.core.transcripts import composed
from sermm.corpora.delimited import DELIMITERS, header_and_records, lines_of, read_text

# What parts the cells of a file with such a name, unless its header shows another delimiter.
_USUAL: Final = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
# As pandas writes an empty cell where it is told to, or where a number was expected.
_NOTHING: Final = {"nan", "NaN", "<NA>"}


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        where: file and line (or row, for Parquet), for messages; of several lines the first.
        cells: text by our name of the column; None where the table has nothing.
        fault: why there are no cells; None: there are.
    """

    where: str
    cells: Mapping[str, str | None]
    fault: str | None = None


@dataclass(frozen=True)
class _Table:
    """Names of the columns; of every row its number, and its values or what is wrong with it."""

    names: Sequence[str]
    rows: Iterator[tuple[int, Mapping[str, Any] | str]] = field(repr=False)
    unit: str = "line"


def read_table(
    path: Path,
    columns: Mapping[str, str],
    required: Collection[str],
    delimiter: str | None = None,
) -> Iterator[Row]:
    """Reads some columns of a table, every value as text.

    Args:
        path: the suffix tells the format.
        columns: the table's name of a column by ours.
        required: our names of columns that must be there; others may be missing.
        delimiter: what parts the cells of a table of lines; None: told by its header.

    Raises:
        InputError: the format is unknown, the file cannot be read, has no row, or lacks a column.
    """
    columns = {ours: composed(theirs) for ours, theirs in columns.items()}
    table = _table(path, set(columns.values()), delimiter)
    names = [columns[ours] for ours in columns if ours in required]
    if missing := [name for name in names if name not in table.names]:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; its columns are "
            f"{', '.join(table.names)}; name yours by data.columns.OURS=THEIRS"
        )
    number = 0
    for number, values in table.rows:
        where = f"{path}, {table.unit} {number}"
        if isinstance(values, str):
            yield Row(where, dict.fromkeys(columns), values)
        else:
            cells = {ours: _text(values.get(theirs)) for ours, theirs in columns.items()}
            yield Row(where, cells)
    if not number:
        raise InputError(f"{path}: it has a header but no row")


def _text(value: Any) -> str | None:
    text = None if value is None else str(value)
    return None if text is None or text.strip() in _NOTHING else text


def _table(path: Path, wanted: Collection[str], delimiter: str | None) -> _Table:
    suffix = path.suffix.lower()
    if delimiter is not None and suffix not in _USUAL:
        raise InputError(
            f"data.delimiter={delimiter}: {path} is no table of lines ({', '.join(_USUAL)})"
        )
    try:
        if suffix in _USUAL:
            return _delimited(path, wanted, _USUAL[suffix], delimiter)
        if suffix == ".jsonl":
            return _json_lines(path)
        if suffix == ".parquet":
            frame = polars.read_parquet(path)
            frame = frame.rename({name: composed(name) for name in frame.columns})
            return _Table(frame.columns, iter(enumerate(frame.iter_rows(named=True), 1)), "row")
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{path}: not a readable {suffix[1:].upper()} table ({first_line(error)})"
        ) from error
    raise InputError(
        f"{path}: unknown kind of table; use .csv, .tsv, .txt, .jsonl or .parquet (a spreadsheet "
        "can be saved as CSV UTF-8)"
    )


def _delimited(path: Path, wanted: Collection[str], usual: str, delimiter: str | None) -> _Table:
    parted = None if delimiter is None else DELIMITERS.get(delimiter, delimiter)
    if parted is not None and parted not in DELIMITERS.values():
        raise InputError(f"data.delimiter={delimiter}: expected {', '.join(DELIMITERS)}, or null")
    names, records = header_and_records(path, wanted, usual, parted)
    # A cell of lines cannot tell nothing from an empty text.
    rows = (
        (
            record.line,
            record.fault
            or {n: c or None for n, c in zip(names, record.cells, strict=False) if n in wanted},
        )
        for record in records
    )
    return _Table(names, rows)


def _json_lines(path: Path) -> _Table:
    """Every value as text: a column may hold numbers in one line and words in the next."""
    lines = lines_of(read_text(path))
    rows = [(number, _object(line)) for number, line in enumerate(lines, 1) if line.strip()]
    names = list(dict.fromkeys(key for _, row in rows if not isinstance(row, str) for key in row))
    if not names:
        raise InputError(
            f"{path}: " + (f"line {rows[0][0]}: {rows[0][1]}" if rows else "the file is empty")
        )
    return _Table(names, iter(rows))


def _object(line: str) -> Mapping[str, Any] | str:
    """What stands in a line, or what is wrong with it."""
    try:
        value = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({getattr(error, 'msg', error)})"
    return value if isinstance(value, dict) else f"expected an object, got {line.strip()[:40]!r}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key stands twice: JSON's own reader takes the last without a word."""
    keys = [composed(key) for key, _ in pairs]
    found = {key: value for key, (_, value) in zip(keys, pairs, strict=True)}
    if len(found) < len(pairs):
        twice = (key for key in found if keys.count(key) > 1)
        raise ValueError(f"key {', '.join(twice)} stands there twice")
    return found
