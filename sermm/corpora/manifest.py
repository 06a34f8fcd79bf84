"""Any corpus as a table: one row an utterance, no Python needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from pathlib import Path, PurePath

from sermm.core.errors import InputError
from sermm.core.files import is_file, is_folder, on_disk
from sermm.core.records import Act, Problem, Reading, Utterance
from sermm.core.transcripts import composed
from sermm.corpora.labels import Codes, OwnCodes
from sermm.corpora.places import advice, place
from sermm.corpora.tables import Row, read_table

REQUIRED = ("path", "label", "speaker")
OPTIONAL = ("id", "text", "group", "dialogue", "start_s", "end_s", "gender", "act")

_ACTS: dict[str, Act] = {"improvised": "improvised", "scripted": "scripted"}
_GENDERS = {"female": "f", "male": "m"}


class Manifest:
    """Reads a CSV, TSV, JSONL or Parquet file with the columns of `REQUIRED` and `OPTIONAL`.

    A row that cannot be used (no path or talker, a time that is no number, no such audio file) is
    left out and becomes a problem that names its line; a row without a usable label is kept
    unlabelled. A cell with NaN is empty. The id is the relative path without suffix, followed by
    `@start-end` if the row gives times, unless there is a column for it.
    """

    def __init__(
        self,
        manifest: str | Path | int | None,
        root: str | Path | int | None = None,
        columns: Mapping[str, str] | None = None,
        labels: Mapping[str | int, str | None] | None = None,
        name: str = "manifest",
        delimiter: str | None = None,
    ) -> None:
        """Stores the settings.

        Args:
            manifest: the table.
            root: where relative paths start; None = the folder of the table.
            columns: the table's name of a column by ours, where they differ.
            labels: emotion code by the table's label, None = leave unlabelled; without a map the
                labels are taken as codes, and what differs from most of its like in case only is
                spelled like them.
            name: of the corpus.
            delimiter: comma, semicolon, tab or pipe; None: told by the table's header.

        Raises:
            InputError: `columns` names a column that we do not have.
        """
        self.manifest = place(manifest)
        self.root = place(root)
        self.labels = dict(labels) if labels else None
        self.name = name
        self.delimiter = delimiter
        given = dict(columns or {})
        if unknown := sorted(set(given) - {*REQUIRED, *OPTIONAL}):
            raise InputError(
                f"data.columns: {', '.join(unknown)} is no column of a manifest; known are "
                f"{', '.join((*REQUIRED, *OPTIONAL))}"
            )
        self.columns = {ours: ours for ours in (*REQUIRED, *OPTIONAL)} | given
        renamed = {ours for ours, theirs in given.items() if ours != theirs}
        self._asked_for = {*REQUIRED, *renamed}

    def read(self) -> Reading:
        """All rows.

        Raises:
            InputError: the table or a column is missing, an id is given twice, or no row is
                usable.
        """
        if self.manifest is None or not is_file(self.manifest):
            what = " is not given" if self.manifest is None else f"={self.manifest} is no file"
            raise InputError(f"data.manifest{what}: give a CSV, TSV, TXT, JSONL or Parquet file")
        if self.root is not None and not is_folder(self.root):
            raise InputError(
                f"data.root={self.root} is no folder: give the folder that the paths in "
                f"{self.manifest} start from"
            )
        rows = list(read_table(self.manifest, self.columns, self._asked_for, self.delimiter))
        read = self._rows(rows, self.manifest)
        _refuse_duplicates(read.found)
        problems = (*self._misplaced(read, len(rows), self.manifest), *read.problems)
        if not read.found:
            first = problems[0]
            where = "" if first.where == str(self.manifest) else f"the first: {first.where}: "
            raise InputError(
                f"{self.manifest}: none of its {len(rows)} rows is usable; {where}{first.what}"
            )
        found = sorted((utterance for _, utterance in read.found), key=lambda u: u.id)
        return Reading(tuple(found), problems, len(rows))

    def _rows(self, rows: Sequence[Row], manifest: Path) -> "_Read":
        read = _Read()
        there = lru_cache(maxsize=None)(is_file)
        root = self.root or manifest.parent
        codes = Codes(self.labels) if self.labels else OwnCodes(r.cells["label"] for r in rows)
        for row in rows:
            try:
                cells = _Cells(row)
                path = on_disk(root, cells.path())
                if not there(path):
                    read.missing.append(cells.path())
                    raise _BadRow(f"no such audio file: {path} ({self._start})", "missing_wav")
                label, troubles = codes.code(row.cells["label"], where=row.where)
                read.found.append((row, self._utterance(cells, path, label)))
                read.problems.extend(troubles)
            except _BadRow as error:
                what = f"{error.what}; the row is left out"
                read.problems.append(Problem(row.where, what, error.kind))
        return read

    @property
    def _start(self) -> str:
        """Where relative paths start, for messages."""
        if self.root is None:
            return "relative paths start at the table's folder; data.root=FOLDER says another"
        return f"relative paths start at data.root={self.root}"

    def _misplaced(self, read: "_Read", rows: int, manifest: Path) -> tuple[Problem, ...]:
        """Says once, before all else, that most of the files are not where they are looked for."""
        if 2 * len(read.missing) <= rows:
            return ()
        root = self.root or manifest.parent
        found = advice(read.missing, root, manifest)
        what = (
            f"{len(read.missing)} of {rows} audio files are not there (first: "
            f"{root / read.missing[0]}); {found or self._start}"
        )
        return (Problem(str(manifest), what, "misplaced_files", kept=True),)

    def _utterance(self, cells: "_Cells", path: Path, label: str | None) -> Utterance:
        start_s, end_s = cells.span()
        act = cells.optional("act")
        if act is not None and act not in _ACTS:
            raise _BadRow(f"act is {act!r}, expected improvised or scripted", "bad_value")
        gender = cells.optional("gender")
        return Utterance(
            id=cells.optional("id") or _default_id(cells.required("path"), start_s, end_s),
            corpus=self.name,
            path=path,
            label=label,
            speaker=cells.required("speaker"),
            group=cells.optional("group"),
            start_s=start_s,
            end_s=end_s,
            transcript=cells.row.cells["text"],
            dialogue=cells.optional("dialogue"),
            act=None if act is None else _ACTS[act],
            gender=None if gender is None else _GENDERS.get(gender.lower(), gender.lower()),
        )


@dataclass(frozen=True)
class _Read:
    """What has been read: rows that can be used, cells that name no file, and problems."""

    found: list[tuple[Row, Utterance]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _BadRow(Exception):  # noqa: N818 (becomes a Problem, is never seen as an error)
    def __init__(self, what: str, kind: str) -> None:
        super().__init__(what)
        self.what = what
        self.kind = kind


@dataclass(frozen=True)
class _Cells:
    """The cells of one row by type; raises `_BadRow`."""

    row: Row

    def __post_init__(self) -> None:
        if self.row.fault is not None:
            raise _BadRow(self.row.fault, "bad_row")

    def path(self) -> str:
        """The path of the audio as it stands, `~/` for the user's own folder."""
        self.required("path")
        given = (self.row.cells["path"] or "").strip()
        return str(Path(given).expanduser()) if given.startswith("~/") else given

    def optional(self, column: str) -> str | None:
        """The text of a cell in Unicode's composed form, None if empty: a talker is one."""
        return composed((self.row.cells[column] or "").strip()) or None

    def required(self, column: str) -> str:
        """The text of a cell that must not be empty."""
        text = self.optional(column)
        if text is None:
            raise _BadRow(f"column {column} is empty", f"missing_{column}")
        return text

    def span(self) -> tuple[float | None, float | None]:
        """Start and end in seconds."""
        start_s, end_s = self._seconds("start_s"), self._seconds("end_s")
        if (start_s or 0) < 0 or (end_s is not None and end_s <= (start_s or 0)):
            raise _BadRow(
                f"start_s = {start_s}, end_s = {end_s}; expected 0 <= start_s < end_s", "bad_span"
            )
        return start_s, end_s

    def _seconds(self, column: str) -> float | None:
        text = self.optional(column)
        try:
            value = None if text is None else float(text)
        except ValueError:
            value = float("nan")
        if value is not None and not isfinite(value):
            raise _BadRow(f"{column} is {text!r}, expected a number of seconds", "bad_value")
        return value


def _default_id(path: str, start_s: float | None, end_s: float | None) -> str:
    stem = PurePath(path).with_suffix("").as_posix()
    if start_s is None and end_s is None:
        return stem
    end = "" if end_s is None else f"{end_s:.3f}"
    return f"{stem}@{start_s or 0:.3f}-{end}"


def _refuse_duplicates(found: Sequence[tuple[Row, Utterance]]) -> None:
    first: dict[str, Row] = {}
    for row, utterance in found:
        if utterance.id in first:
            raise InputError(
                f"{row.where}: id {utterance.id!r} is already that of "
                f"{first[utterance.id].where}; ids must be unique: remove the row, or give a "
                "column of unique ids (data.columns.id)"
            )
        first[utterance.id] = row
