"""What a combination comes to on validation: on both scales, beside its parts.

So it is known without the test part whether averaging helps. Where one part is sure of all it says,
right or wrong, the average of raw logits can fall far below the other part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sermm.core.figures import percent
from sermm.engine.combination.combine import combined_rows
from sermm.engine.combination.parts import Plan, Scale, fitted
from sermm.engine.combination.record import metrics
from sermm.runs.predictions import Row

_ROUNDING = 1e-9


@dataclass(frozen=True)
class OnValidation:
    """UA on validation, fractions.

    Attributes:
        parts: of each part.
        scales: of the average of raw and of calibrated logits.
        temperatures: of each part on the calibrated scale.
    """

    parts: tuple[float, ...]
    scales: dict[Scale, float]
    temperatures: tuple[float, ...]


def on_validation(plan: Plan) -> OnValidation | None:
    """The scores of both scales and of the parts; None without validation predictions."""
    if not plan.parts[0].ids("val"):
        return None
    classes = plan.parts[0].result.classes
    scales: tuple[Scale, ...] = ("raw", "calibrated")
    return OnValidation(
        parts=tuple(_ua(list(part.rows.values()), classes) for part in plan.parts),
        scales={one: _ua(combined_rows(replace(plan, scale=one)), classes) for one in scales},
        temperatures=fitted(plan.parts),
    )


def warning(plan: Plan, found: OnValidation) -> str | None:
    """That the combination is below a part, and what may help; None where it is not."""
    ua, best = found.scales[plan.scale], max(found.parts)
    if ua > best - _ROUNDING:
        return None
    part = plan.parts[found.parts.index(best)].result.model
    other: Scale = "raw" if plan.scale == "calibrated" else "calibrated"
    better = found.scales[other] > ua + _ROUNDING
    advice = f"scale={other} ({percent(found.scales[other])}), " if better else ""
    return (
        f"on validation the combination (UA {percent(ua)}) is below its part {part} "
        f"({percent(best)}); what may be better: {advice}other weights=, {part} alone"
    )


def _ua(rows: Sequence[Row], classes: Sequence[str]) -> float:
    ua = metrics([row for row in rows if row["split"] == "val"], classes)["val/ua"]
    return 0.0 if ua is None else ua
