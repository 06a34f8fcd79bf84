"""Hand labels of EmoDB: phones (`lablaut/`) and syllables (`silb/`, `labsilb/`) with their times.

Each row names what starts there; it ends where the next row starts. Symbols are the corpus's own
(much like SAMPA), not ARPAbet. A stop is written in parts, closure `t`, release `!t` and
aspiration `tasp`, which are joined to one phone `t`. Rows without a symbol (`+hoe`, `-sth`) change
the voice within a phone and divide nothing. Pauses `(`, filled ones `(gef` and the end `.` are no
units. The corpus has no labels of words.
"""

import re
from pathlib import Path
from typing import Final

from sermm.core.records import Level, Span

_ENCODING: Final = "iso-8859-1"
_ROW = re.compile(r"\s*(\d+\.\d+)(?:\s+-?\d+)?\s(.*)")
_SYMBOL = re.compile(r"[^\s+\-\[\]]*")
_PART = re.compile(r"([!_]?)(.+?)(asp)?")
_FOLDERS: Final[dict[Level, tuple[tuple[str, str], ...]]] = {
    "phone": (("lablaut", "{}xx.lablaut"), ("lablaut", "{}.lablaut")),
    "syllable": (("silb", "{}.silb"), ("labsilb", "{}.labsilb")),
}
# Typing errors of the corpus.
_MISTYPED: Final = {"hoe": "", "dsap": "dasp", "gas": "gasp"}


def label_spans(
    audio: Path, utterance_id: str, level: Level, corpus: Path | None = None
) -> tuple[Span, ...]:
    """The hand-labelled units of one clip; empty where there are none.

    The folders of labels lie beside the clip, beside its folder (`wav/`), or beside one that this
    lies in, up to that of the corpus.
    """
    inner = [folder for folder in audio.parents if corpus in folder.parents or folder == corpus]
    for root in dict.fromkeys((audio.parent, audio.parent.parent, *inner)):
        for folder, name in _FOLDERS.get(level, ()):
            rows = _rows(root / folder / name.format(utterance_id))
            if spans := _spans(rows, level):
                return spans
    return ()


def _rows(path: Path) -> list[tuple[float, str]]:
    """Times and labels; the lines of an ESPS head, which have no time, are passed over."""
    try:
        lines = path.read_text(encoding=_ENCODING).splitlines()
    except FileNotFoundError:
        return []
    found = (_ROW.fullmatch(line) for line in lines)
    return [(float(row[1]), row[2]) for row in found if row]


def _spans(rows: list[tuple[float, str]], level: Level) -> tuple[Span, ...]:
    units = _joined(rows) if level == "phone" else [(at, _syllable(label)) for at, label in rows]
    ends = [at for at, _ in units[1:]]
    return tuple(
        Span(symbol, at, end, level, "corpus")
        for (at, symbol), end in zip(units, ends, strict=False)
        if symbol != "." and not symbol.startswith("(")
    )


def _syllable(label: str) -> str:
    """`labsilb` has a measure of stress after the syllable."""
    return label.split("\t")[0].strip()


def _symbol(label: str) -> str:
    """What stands before marks of voice (`+hoe`), of range (`[+eng`) and of stress."""
    match = _SYMBOL.match(label)
    symbol = match[0] if match else ""
    return _MISTYPED.get(symbol, symbol)


def _joined(rows: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Starts of whole phones: rows without a symbol and later parts of a stop are left out."""
    phones: list[tuple[float, str]] = []
    for at, label in rows:
        symbol = _symbol(label)
        if symbol.startswith(("(", ".")):
            phones.append((at, symbol))
            continue
        part = _PART.fullmatch(symbol)
        if part is None or symbol == "!":
            continue
        later = part[1] == "!" or part[3]
        if not (later and phones and phones[-1][1] == part[2]):
            phones.append((at, part[2]))
    return phones
