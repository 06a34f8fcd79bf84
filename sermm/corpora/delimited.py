"""Tables of lines: CSV, TSV and their like, as spreadsheets, pandas and people write them.

Where commas or semicolons part cells, quotes work as in RFC 4180. Tabs part cells that are taken
as they stand, quotes included: most tables with tabs know no quotes, and half an inch (`1/2"`) must
not swallow the rows below. A table with tabs whose header is in quotes (R writes them) is read by
quotes.
"""

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from sermm.core.errors import InputError
from sermm.core.transcripts import composed

DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_QUOTE: Final = '"'
# The mark of UTF-32 starts with that of UTF-16.
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SHOWN: Final = 60
_OPEN: Final = (
    'a quote (") opens a cell, and nothing closes it before the rows below; within a cell that is '
    'in quotes, a quote is written twice ("")'
)


@dataclass(frozen=True)
class Record:
    """The cells of one row.

    Attributes:
        line: its first, from 1.
        cells: as they stand.
        fault: why there are none; None: there are.
    """

    line: int
    cells: list[str]
    fault: str | None = None


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    quoted: bool

    def record(self, lines: Sequence[str], start: int) -> tuple[list[str], int]:
        """The cells of the record that starts in a line, and the line after it, from 0.

        Raises:
            csv.Error: a quote opens a cell and does not close it.
        """
        if not self.quoted or _QUOTE not in lines[start]:
            return lines[start].rstrip("\r\n").split(self.delimiter), start + 1
        # Strict: only by mistake does a cell go on after its closing quote, or to the file's end.
        reader = csv.reader(
            (lines[at] for at in range(start, len(lines))),
            delimiter=self.delimiter,
            skipinitialspace=True,
            strict=True,
        )
        return next(reader), start + reader.line_num

    def holds_row(self, lines: Sequence[str], cells: Sequence[str]) -> bool:
        """Whether one of the lines that a record goes on in is a row by itself.

        It has as many cells, and a file with the same suffix in the same column.
        """
        for line in lines:
            found = next(csv.reader([line], delimiter=self.delimiter, skipinitialspace=True), [])
            pairs = zip(cells, found, strict=True) if len(found) == len(cells) else ()
            if any(_suffix(one) and _suffix(one) == _suffix(other) for one, other in pairs):
                return True
        return False


def read_text(path: Path) -> str:
    """The text of a table: UTF-8, or what the mark at its start says.

    Raises:
        InputError: it is in another encoding, or no text.
    """
    raw = path.read_bytes()
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        seen = raw.splitlines()[line - 1].decode("cp1252", "replace")[:_SHOWN]
        raise InputError(
            f"{path}, line {line}: byte 0x{raw[error.start]:02x} is not {encoding.upper()}. If the "
            f"table is in Windows-1252 or Latin-1, this line reads {seen!r}; save it as CSV UTF-8, "
            f"or give: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8{path.suffix}"
        ) from error
    if "\0" in text:
        raise InputError(
            f"{path}: it holds zero bytes, so it is no text, or UTF-16 without a mark; save it as "
            f"CSV UTF-8, or give: iconv -f UTF-16LE -t UTF-8 {path.name} > utf8{path.suffix}"
        )
    return text


def lines_of(text: str) -> list[str]:
    """Its lines, with their ends; only line feeds and carriage returns end one."""
    return list(io.StringIO(text, newline=""))


def header_and_records(
    path: Path, wanted: Collection[str], usual: str, named: str | None
) -> tuple[list[str], Iterator[Record]]:
    """The names of the columns, and the rows; lines without a word are passed over.

    Args:
        path: of the table.
        wanted: names of columns; the delimiter that gives most of them is taken.
        usual: the delimiter of such files.
        named: the delimiter if it has been told; None: by the header.

    Raises:
        InputError: it is empty, in another encoding, or its header cannot be read.
    """
    lines = lines_of(read_text(path))
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise InputError(f"{path}: the file is empty")
    delimiter = named or _sniffed(lines[first], wanted, usual)
    quoted = delimiter != "\t" or lines[first].lstrip().startswith(_QUOTE)
    dialect = _Dialect(delimiter, quoted)
    try:
        cells, start = dialect.record(lines, first)
    except csv.Error as error:
        raise InputError(
            f"{path}, line {first + 1}: the header cannot be read ({error})"
        ) from error
    names = _trimmed([composed(cell.strip()) for cell in cells])
    if twice := sorted({name for name in names if name in wanted and names.count(name) > 1}):
        places = [str(at) for at, name in enumerate(names, 1) if name == twice[0]]
        raise InputError(
            f"{path}: column {twice[0]} stands there {len(places)} times (columns "
            f"{', '.join(places)}); rename all but one"
        )
    return names, _records(lines, start, dialect, len(names))


def _sniffed(header: str, wanted: Collection[str], usual: str) -> str:
    def fits(delimiter: str) -> tuple[int, bool, int]:
        names = {cell.strip().strip(_QUOTE) for cell in composed(header).split(delimiter)}
        return len(names & set(wanted)), delimiter == usual and usual in header, len(names)

    return max(DELIMITERS.values(), key=fits)


def _trimmed(cells: list[str]) -> list[str]:
    """Without empty cells at the end, as spreadsheets leave them."""
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _suffix(cell: str) -> str:
    return PurePath(cell.strip()).suffix.lower()


def _records(lines: Sequence[str], start: int, dialect: _Dialect, width: int) -> Iterator[Record]:
    while start < len(lines):
        try:
            cells, after = dialect.record(lines, start)
            fault = _fault(cells, width)
            if after > start + 1 and (fault or dialect.holds_row(lines[start + 1 : after], cells)):
                raise csv.Error
        except csv.Error:
            # What the quote would swallow is read for itself, line by line.
            cells, after, fault = [], start + 1, _OPEN
        if fault or any(cell.strip() for cell in cells):
            yield Record(start + 1, cells[:width], fault)
        start = after


def _fault(cells: list[str], width: int) -> str | None:
    """Why these are not the cells of a row; cells that are empty may be too many."""
    filled = _trimmed(cells)
    if len(filled) > width:
        return f"{len(cells)} cells, and the header has {width}; a cell may need quotes around it"
    if filled and len(cells) < width:
        return f"{len(cells)} cells, and the header has {width}"
    return None
