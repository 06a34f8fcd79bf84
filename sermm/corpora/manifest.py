"""Any corpus as a table: one row an utterance, no Python needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path, PurePath

from sermm.core.errors import InputError
from sermm.core.files import on_disk
from sermm.core.records import Act, Problem, Reading, Utterance
from sermm.core.transcripts import composed
from sermm.corpora.clips import map_label
from sermm.corpora.tables import Row, read_table

REQUIRED = ("path", "label", "speaker")
OPTIONAL = ("id", "text", "group", "dialogue", "start_s", "end_s", "gender", "act")

_ACTS: dict[str, Act] = {"improvised": "improvised", "scripted": "scripted"}
_GENDERS = {"female": "f", "male": "m"}


class Manifest:
    """Reads a CSV, TSV, JSONL or Parquet file with the columns of `REQUIRED` and `OPTIONAL`.

    A row that cannot be used (no path or talker, a time that is no number, no such audio file) is
    left out and becomes a problem that names its line; a row without a usable label is kept
    unlabelled. The id is the relative path without suffix, followed by `@start-end` if the row
    gives times, unless there is a column for it.
    """

    def __init__(
        self,
        manifest: str | Path | None,
        root: str | Path | None = None,
        columns: Mapping[str, str] | None = None,
        labels: Mapping[str, str | None] | None = None,
        name: str = "manifest",
    ) -> None:
        """Stores the settings.

        Args:
            manifest: the table.
            root: where relative paths start; None = the folder of the table.
            columns: the table's name of a column by ours, where they differ.
            labels: emotion code by the table's label, None = leave unlabelled; without a map the
                labels are taken as codes.
            name: of the corpus.

        Raises:
            InputError: `columns` names a column that we do not have.
        """
        self.manifest = None if manifest is None else Path(manifest)
        self.root = None if root is None else Path(root)
        self.labels = {composed(word): code for word, code in labels.items()} if labels else None
        self.name = name
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
        if self.manifest is None or not self.manifest.is_file():
            what = " is not given" if self.manifest is None else f"={self.manifest} is no file"
            raise InputError(f"data.manifest{what}: give a CSV, TSV, JSONL or Parquet file")
        if self.root is not None and not self.root.is_dir():
            raise InputError(
                f"data.root={self.root} is no folder: give the folder that the paths in "
                f"{self.manifest} start from"
            )
        found: list[tuple[Row, Utterance]] = []
        problems: list[Problem] = []
        for row, item, troubles in self._rows(self.manifest, self.root or self.manifest.parent):
            problems += troubles
            if item is not None:
                found.append((row, item))
        _refuse_duplicates(found)
        if not found:
            raise InputError(
                f"{self.manifest}: none of its {len(problems)} rows is usable; the first: "
                f"{problems[0].where}: {problems[0].what}"
            )
        return Reading(tuple(sorted((u for _, u in found), key=lambda u: u.id)), tuple(problems))

    def _rows(
        self, manifest: Path, root: Path
    ) -> Iterator[tuple[Row, Utterance | None, list[Problem]]]:
        is_file = lru_cache(maxsize=None)(Path.is_file)
        for row in read_table(manifest, self.columns, self._asked_for):
            try:
                cells = _Cells(row)
                path = on_disk(root, cells.path)
                if not is_file(path):
                    raise _BadRow(f"no such audio file: {path}", "missing_wav")
                label, troubles = self._label(row)
                yield row, self._utterance(cells, path, label), troubles
            except _BadRow as error:
                what = f"{error.what}; the row is left out"
                yield row, None, [Problem(row.where, what, error.kind)]

    def _label(self, row: Row) -> tuple[str | None, list[Problem]]:
        word = composed(row.cells["label"] or "") or None
        labels = self.labels if self.labels is not None or word is None else {word: word}
        return map_label(word, labels or {}, where=row.where)

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


class _BadRow(Exception):  # noqa: N818 (becomes a Problem, is never seen as an error)
    def __init__(self, what: str, kind: str) -> None:
        super().__init__(what)
        self.what = what
        self.kind = kind


@dataclass(frozen=True)
class _Cells:
    """The cells of one row by type; raises `_BadRow`."""

    row: Row

    def optional(self, column: str) -> str | None:
        """The text of a cell in Unicode's composed form, None if empty: a talker is one."""
        return composed((self.row.cells[column] or "").strip()) or None

    @property
    def path(self) -> str:
        """The path as it stands: files are looked for in both forms of their names."""
        self.required("path")
        return (self.row.cells["path"] or "").strip()

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


def _refuse_duplicates(found: list[tuple[Row, Utterance]]) -> None:
    first: dict[str, Row] = {}
    for row, utterance in found:
        if utterance.id in first:
            raise InputError(
                f"{row.where}: id {utterance.id!r} is already that of "
                f"{first[utterance.id].where}; ids must be unique: remove the row, or give a "
                "column of unique ids (data.columns.id)"
            )
        first[utterance.id] = row
