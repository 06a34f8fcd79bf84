"""What units there are, and how far two sources agree about their boundaries.

What `sermm align` prints: `counts` of what was found, and with `against=` the `agreement` with
another source, as alignments are usually judged: by the share of boundaries within 10, 20, 50 ms.
"""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import chain
from statistics import fmean, median
from typing import Any, Final

from sermm.core.records import Level, Span
from sermm.core.transcripts import compared
from sermm.engine.inputs.unit_sources import WHOLE
from sermm.engine.inputs.units import Units

WITHIN_S: Final = (0.01, 0.02, 0.05)
# Times are whole milliseconds at best; without this 0.03 - 0.02 would be more than 0.01.
_ROUNDING_S: Final = 1e-6


def counts(units: Units, durations: Mapping[str, float]) -> dict[str, Any]:
    """Utterances by source, and number, rate and length of the units.

    Whole utterances are no units: number, `per_second` (of the audio of the others), `mean_s` and
    `median_s` leave them out.

    Args:
        units: of one level.
        durations: seconds by utterance id.

    Returns:
        Ready for JSON; None for rate and lengths where there is no unit.
    """
    real = {i: spans for i, spans in units.spans.items() if spans[0].source != WHOLE}
    lengths = [span.end_s - span.start_s for span in chain.from_iterable(real.values())]
    seconds = sum(durations[i] for i in real)
    return {
        "utterances": units.sources,
        "units": len(lengths),
        "per_second": len(lengths) / seconds if seconds else None,
        "mean_s": fmean(lengths) if lengths else None,
        "median_s": median(lengths) if lengths else None,
    }


def agreement(
    chosen: Mapping[Level, Units], others: Mapping[Level, Units]
) -> dict[Level, dict[str, Any]]:
    """How far the boundaries of two sources lie apart, by level.

    Units are matched by symbol and order within an utterance that both sources have, case and
    stress aside. Whole utterances and utterances with units of one and the same source are left
    out. `starts` and `ends` hold the median and mean of |difference| in seconds and the shares of
    those within 10, 20 and 50 ms; None where nothing matches.

    Args:
        chosen: what is judged, by level.
        others: what it is compared with; has the same levels.
    """
    return {level: _agreement(chosen[level], others[level]) for level in chosen}


def _agreement(chosen: Units, others: Units) -> dict[str, Any]:
    """The same for one level."""
    pairs: list[tuple[Span, Span]] = []
    utterances = units = 0
    for utterance_id, spans in chosen.spans.items():
        other = others.spans.get(utterance_id, ())
        if not other or spans[0].source in {other[0].source, WHOLE}:
            continue
        utterances += 1
        units += len(spans)
        pairs += matched(spans, other)
    return {
        "utterances": utterances,
        "units": units,
        "matched": len(pairs),
        "starts": _differences([a.start_s - b.start_s for a, b in pairs]),
        "ends": _differences([a.end_s - b.end_s for a, b in pairs]),
    }


def matched(spans: Sequence[Span], other: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Pairs of units with one symbol, in order.

    The longest common runs of symbols, as `difflib` finds them: where one source has a word that
        the
    other lacks, those behind it still match.

    Args:
        spans: of one utterance and level, in order of time.
        other: of the same by another source.
    """
    ours, theirs = ([_comparable(span.symbol) for span in side] for side in (spans, other))
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return [(spans[block.a + n], other[block.b + n]) for block in blocks for n in range(block.size)]


def _comparable(symbol: str) -> str:
    """A symbol without case and stress: `AH0` of one aligner is `ah` of another.

    Syllables are phones joined by `_`, each with a digit of its own; a symbol of digits stays.
    """
    return "_".join(part.rstrip("012") or part for part in compared(symbol).split("_"))


def _differences(deltas: Sequence[float]) -> dict[str, Any] | None:
    """Sizes of the differences, in seconds, and the shares of small ones."""
    if not deltas:
        return None
    sizes = [abs(delta) for delta in deltas]
    shares = {
        f"within_{1000 * limit:.0f}_ms": sum(s <= limit + _ROUNDING_S for s in sizes) / len(sizes)
        for limit in WITHIN_S
    }
    return {"median_s": median(sizes), "mean_s": fmean(sizes), **shares}
