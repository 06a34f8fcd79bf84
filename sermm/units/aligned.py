"""What one source of times says of one utterance, and spans put right."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from sermm.core.records import Level, Problem, Span

LEVELS: Final[tuple[Level, ...]] = ("word", "syllable", "phone")

# A frame of 10 to 25 ms that the end of the audio falls into may be counted whole.
_ROUNDING_S: Final = 0.05
# Decimal times of neighbours may differ in the last digit.
_TOUCHING_S: Final = 1e-3

_WHAT: Final = {
    "units_unsorted": "units not in order of time: sorted",
    "unit_without_length": "units that end where they start or before: left out",
    "unit_outside_audio": "units that lie outside the audio: left out",
    "unit_beyond_audio": "units that reach beyond the audio: cut at its end",
    "units_overlap": "units that start before the one before ends: kept",
}


@dataclass(frozen=True)
class Aligned:
    """The units of one utterance from one source.

    Attributes:
        spans: by level, for the levels that the source has units for.
        problems: what the source could not do.
    """

    spans: dict[Level, tuple[Span, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All but whose they are and where they come from, for a store."""
        spans = {
            level: [[span.symbol, span.start_s, span.end_s] for span in found]
            for level, found in self.spans.items()
        }
        return {"spans": spans, "problems": [[one.kind, one.what] for one in self.problems]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], utterance_id: str, source: str) -> "Aligned":
        """What `to_json` gave, as of this utterance and this source."""
        spans: dict[Level, tuple[Span, ...]] = {
            level: tuple(Span(symbol, a, b, level, source) for symbol, a, b in rows)
            for level, rows in kept["spans"].items()
        }
        problems = (Problem(utterance_id, what, kind) for kind, what in kept["problems"])
        return cls(spans, tuple(problems))


def mended(
    spans: Sequence[Span], utterance_id: str, duration_s: float
) -> tuple[tuple[Span, ...], tuple[Problem, ...]]:
    """Spans in order of time, each with a length and within the audio, and what was wrong.

    Overlapping spans stay as they are. An end within 50 ms after the audio's is cut unmentioned:
    the last frame of an aligner need not be whole.

    Args:
        spans: of one level and one utterance.
        utterance_id: for the problems.
        duration_s: length of the audio.

    Returns:
        The spans, and one problem for each kind of fault with the number of units.
    """
    faults: Counter[str] = Counter()
    # A time that is not finite has no place to be sorted to.
    usable = [s for s in spans if math.isfinite(s.start_s) and s.start_s < s.end_s < math.inf]
    faults["unit_without_length"] = len(spans) - len(usable)
    faults["units_unsorted"] = sum(a.start_s > b.start_s for a, b in pairwise(usable))
    kept = []
    for span in sorted(usable, key=lambda s: (s.start_s, s.end_s)):
        start_s, end_s = max(0.0, span.start_s), min(span.end_s, duration_s)
        if start_s >= end_s:
            faults["unit_outside_audio"] += 1
            continue
        outside_s = max(start_s - span.start_s, span.end_s - end_s)
        faults["unit_beyond_audio"] += outside_s > _ROUNDING_S
        kept.append(replace(span, start_s=start_s, end_s=end_s) if outside_s else span)
    faults["units_overlap"] = sum(a.end_s > b.start_s + _TOUCHING_S for a, b in pairwise(kept))
    level = spans[0].level if spans else "unit"
    source = spans[0].source if spans else ""
    problems = tuple(
        Problem(utterance_id, f"{level}, source {source}: {count} {_WHAT[kind]}", kind)
        for kind in _WHAT
        if (count := faults[kind])
    )
    return tuple(kept), problems
