"""Praat TextGrids: those of the Montreal Forced Aligner are read, our own are written."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from praatio.data_classes.interval_tier import IntervalTier
from praatio.data_classes.textgrid import Textgrid
from praatio.utilities.constants import INTERVAL_TIER
from praatio.utilities.errors import PraatioException
from praatio.utilities.textgrid_io import parseTextgridStr

from sermm.core.errors import InputError
from sermm.core.files import whole_file
from sermm.core.records import Level, Problem, Span
from sermm.units.aligned import Aligned

SOURCE: Final = "mfa"

_SUFFIX: Final = ".textgrid"
_LEVELS: Final[dict[str, Level]] = {"words": "word", "phones": "phone"}
_TIERS: Final[dict[Level, str]] = {"word": "words", "syllable": "syllables", "phone": "phones"}
# With several talkers the tiers are "<talker> - words".
_TIER = re.compile(r"(?:.* - )?(words|phones)", re.IGNORECASE)
_SILENCE: Final = frozenset(("", "sp", "sil", "spn", "<eps>"))
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class TextGrids:
    """The TextGrids below a folder, one an utterance, by its id: `**/<id>.TextGrid`.

    Times are those of the utterance, also where it is a span of a longer audio file.

    Args:
        folder: where the aligner wrote.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()

    @cached_property
    def paths(self) -> dict[str, list[Path]]:
        """The files by name.

        Raises:
            InputError: no such folder, or no TextGrid in it.
        """
        found: dict[str, list[Path]] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() == _SUFFIX and not path.name.startswith("."):
                found.setdefault(path.stem, []).append(path)
        if not found:
            what = "holds no TextGrid" if self.folder.is_dir() else "is no folder"
            raise InputError(
                f"align.mfa_dir={self.folder} {what}; give the folder that the aligner wrote to, "
                "with one <utterance id>.TextGrid an utterance"
            )
        return found

    def align(self, utterance_id: str) -> Aligned:
        """Words and phones of an utterance; nothing but a problem if it has no file."""
        paths = self.paths.get(utterance_id, [])
        if not paths:
            what = f"no {utterance_id}.TextGrid below {self.folder}"
            return Aligned({}, (Problem(utterance_id, what, "missing_textgrid"),))
        problems = []
        if len(paths) > 1:
            what = f"{len(paths)} TextGrids bear this name; {paths[0]} is used"
            problems.append(Problem(utterance_id, what, "two_textgrids"))
        try:
            spans = read_textgrid(paths[0])
        except InputError as error:
            return Aligned({}, (*problems, Problem(utterance_id, str(error), "bad_textgrid")))
        return Aligned(spans, tuple(problems))


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


def _spans(level: Level, named: Sequence[tuple[str, Any]]) -> tuple[Span, ...]:
    return tuple(
        Span(label.strip(), float(start), float(end), level, SOURCE)
        for name, tier in named
        if _LEVELS[name] == level
        for start, end, label in tier["entries"]
        if label.strip().lower() not in _SILENCE
    )


def _entries(spans: Sequence[Span]) -> list[tuple[float, float, str]]:
    following = [*(span.start_s for span in spans[1:]), float("inf")]
    rows = [(s.start_s, min(s.end_s, n), s.symbol) for s, n in zip(spans, following, strict=False)]
    return [row for row in rows if row[0] < row[1]]
