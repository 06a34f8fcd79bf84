"""Reads the forced alignments of IEMOCAP: words, phones and syllables with their times.

Sphinx-3 wrote them: 100 frames a second, counted from the start of the utterance's wav, the end
frame inclusive. A frame range s..e therefore lasts from s/100 to (e + 1)/100 seconds.
"""

import re
from pathlib import Path
from typing import Final

from sermm.core.records import Level, Span
from sermm.corpora.iemocap.layout import FRAMES_PER_S

# wdseg: one label; phseg: the phone, then its context; syseg: all of the rest, score or not.
_ROWS: Final[dict[Level, re.Pattern[str]]] = {
    "word": re.compile(r"\s*(\d+)\s+(\d+)\s+-?\d+\s+(\S+)\s*"),
    "phone": re.compile(r"\s*(\d+)\s+(\d+)\s+-?\d+\s+(\S+).*"),
    "syllable": re.compile(r"\s*(\d+)\s+(\d+)\s+(?:-?\d+\s+)?(\S.*?)\s*"),
}
_FILLER = re.compile(r"<.*>|\+.*\+")
_VARIANT = re.compile(r"\(\d+\)$")


def read_alignment(path: Path, level: Level) -> tuple[Span, ...]:
    """The units of one utterance in the order of the file, without silences and noises.

    A missing file, or one without units (laughter only), gives an empty tuple.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    rows = (_ROWS[level].fullmatch(line) for line in text.split("\n"))
    spans = (_span(row, level) for row in rows if row)
    return tuple(span for span in spans if span)


def _span(row: re.Match[str], level: Level) -> Span | None:
    start, end, symbol = int(row[1]), int(row[2]), row[3]
    if end < start or _FILLER.fullmatch(symbol) or (level != "word" and symbol == "SIL"):
        return None
    if level == "word":
        symbol = _VARIANT.sub("", symbol)
    return Span(symbol, start / FRAMES_PER_S, (end + 1) / FRAMES_PER_S, level, "corpus")
