"""Praat TextGrids: those of the Montreal Forced Aligner are read, our own are written."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from praatio.data_classes.interval_tier import IntervalTier
from praatio.data_classes.textgrid import Textgrid
from praatio.utilities.constants import INTERVAL_TIER
from praatio.utilities.errors import PraatioException
from praatio.utilities.textgrid_io import parseTextgridStr

from sermm.core.errors import InputError
from sermm.core.files import whole_file
from sermm.core.records import Level, Problem, Span, Utterance
from sermm.core.transcripts import composed
from sermm.units.aligned import Aligned
from sermm.units.files import FilesOfUtterances

SOURCE: Final = "mfa"

_SUFFIX: Final = ".TextGrid"
_LEVELS: Final[dict[str, Level]] = {"words": "word", "phones": "phone"}
_TIERS: Final[dict[Level, str]] = {"word": "words", "syllable": "syllables", "phone": "phones"}
# With several talkers the tiers are "<talker> - words".
_TIER = re.compile(r"(?:.* - )?(words|phones)", re.IGNORECASE)
_SILENCE: Final = frozenset(("", "sp", "sil", "spn", "<eps>"))
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class TextGrids:
    """The TextGrids below a folder, one an utterance, as `sermm.units.files` finds them.

    Where an utterance is a span of a longer audio file, a TextGrid that is named by its id has the
    times of the utterance, one that is named by the file those of the file.

    Args:
        folder: where the aligner wrote.
        utterances: all of the corpus.
    """

    def __init__(self, folder: str | Path, utterances: Iterable[Utterance]) -> None:
        audio = {u.id: u.path for u in utterances}
        self._files = FilesOfUtterances(Path(folder).expanduser(), _SUFFIX, audio, "align.mfa_dir")

    def align(self, utterance: Utterance) -> Aligned:
        """Words and phones of an utterance; nothing but a problem if it has no file.

        Raises:
            InputError: the folder has no TextGrid of any utterance, or it cannot be told which is
                this one's.
        """
        found = self._files.find(utterance.id)
        if found is None:
            missing = self._files.missing(utterance.id)
            return Aligned({}, (Problem(utterance.id, missing, "missing_textgrid"),))
        path, by_id = found
        try:
            spans = read_textgrid(path)
        except InputError as error:
            return Aligned({}, (Problem(utterance.id, str(error), "bad_textgrid"),))
        return Aligned(spans if by_id else _within(spans, utterance))


def read_textgrid(path: Path) -> dict[Level, tuple[Span, ...]]:
    """Words and phones in the order of the file, without silences; long or short form.

    Raises:
        InputError: it is no TextGrid, or has neither tier.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-16" if raw.startswith(_UTF16) else "utf-8-sig")
        tiers = parseTextgridStr(text)["tiers"]
        named = [
            (match[1].lower(), tier)
            for tier in tiers
            if tier["class"] == INTERVAL_TIER and (match := _TIER.fullmatch(tier["name"]))
        ]
        spans = {_LEVELS[name]: _spans(_LEVELS[name], named) for name in sorted(dict(named))}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (PraatioException, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: not a whole TextGrid ({error}); align it again") from error
    if not spans:
        names = ", ".join(str(tier["name"]) for tier in tiers) or "none"
        raise InputError(f"{path}: expected interval tiers words and phones, found {names}")
    return spans


def write_textgrid(path: Path, units: Mapping[Level, Sequence[Span]], duration_s: float) -> None:
    """Writes the levels as tiers words, syllables, phones, whole or not at all.

    Intervals of a tier cannot overlap: one that does is cut where the next one starts.
    """
    grid = Textgrid(0.0, duration_s)
    for level, name in _TIERS.items():
        if level in units:
            grid.addTier(IntervalTier(name, _entries(units[level]), 0.0, duration_s))
    with whole_file(path) as temporary:
        grid.save(str(temporary), "long_textgrid", includeBlankSpaces=True)


def _within(
    spans: Mapping[Level, Sequence[Span]], utterance: Utterance
) -> dict[Level, tuple[Span, ...]]:
    """Of a whole file's units those whose middle lies in the utterance, by its own times."""
    start_s = utterance.start_s or 0.0
    end_s = math.inf if utterance.end_s is None else utterance.end_s
    return {
        level: tuple(
            replace(span, start_s=span.start_s - start_s, end_s=span.end_s - start_s)
            for span in of_level
            if start_s <= (span.start_s + span.end_s) / 2 < end_s
        )
        for level, of_level in spans.items()
    }


def _spans(level: Level, named: Sequence[tuple[str, Any]]) -> tuple[Span, ...]:
    return tuple(
        Span(composed(label.strip()), float(start), float(end), level, SOURCE)
        for name, tier in named
        if _LEVELS[name] == level
        for start, end, label in tier["entries"]
        if label.strip().lower() not in _SILENCE
    )


def _entries(spans: Sequence[Span]) -> list[tuple[float, float, str]]:
    following = [*(span.start_s for span in spans[1:]), float("inf")]
    rows = [(s.start_s, min(s.end_s, n), s.symbol) for s, n in zip(spans, following, strict=False)]
    return [row for row in rows if row[0] < row[1]]
