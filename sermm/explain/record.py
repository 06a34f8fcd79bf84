"""An explanation as numbers: what `explanation.json` and `attention.npz` hold.

For those who want to draw or count something else: all that is told of attention and gates is here.
Numbers have six decimals, and what is not defined is null, as JSON knows no NaN. The weights are n
x m for every map, thousands of numbers, so they lie in an archive of NumPy beside.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sermm.core.files import whole_file
from sermm.explain.axes import Axis
from sermm.explain.explanation import Explained, Gate, Map
from sermm.explain.measures import NOTICE, relevance, sharpness

WEIGHTS = "attention.npz"
_DIGITS = 6


def record(explained: Explained) -> dict[str, Any]:
    """All but the attention weights themselves; what is not defined is null.

    Returns:
        What `sermm explain format=json` prints, too. Names of keys are relied on by other programs.
    """
    result, subject = explained.restored.result, explained.subject
    return {
        "run": result.key,
        **{name: getattr(result, name) for name in ("model", "data", "protocol", "fold", "seed")},
        "utterance": subject.name,
        "part": subject.part,
        "label": subject.label,
        "predicted": explained.predicted,
        "probabilities": explained.probabilities,
        "text": subject.text,
        "seconds": subject.seconds,
        "used_seconds": explained.sound.seconds,
        "remarks": list(subject.remarks),
        "negative_words": sorted(explained.negative),
        "figures": NOTICE,
        "maps": [_map(one, explained) for one in explained.maps],
        "gates": [_gate(one) for one in explained.gates],
    }


def write_weights(explained: Explained, path: Path) -> None:
    """Writes the weights `[n m]` of every map by its name, float32, whole or not at all."""
    weights = {one.name: one.weights.astype(np.float32) for one in explained.maps}
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **weights)  # type: ignore[arg-type]


def _map(one: Map, explained: Explained) -> dict[str, Any]:
    """Both axes, and what follows from the weights; energy only where positions have times."""
    found = {
        "query": _axis(one.query),
        "key": _axis(one.key),
        "weights": f"{WEIGHTS}: {one.name}",
        "relevance": _numbers(relevance(one.weights)),
        "sharpness": _numbers(sharpness(one.weights)),
        "figures": [
            {"name": m.name, "value": m.value, "said": m.basis, "paper": m.paper}
            for m in one.measures
        ],
    }
    if one.query.times is not None:
        energy, share = explained.sound.at(one.query.times)
        found |= {"energy": _numbers(energy), "share_above_4_khz": _numbers(share)}
    return found


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "stream": _axis(gate.axis),
        "mean": _numbers(gate.mean),
        "lower_tenth": _numbers(gate.lower),
        "upper_tenth": _numbers(gate.upper),
    }


def _axis(axis: Axis) -> dict[str, Any]:
    """Tokens or times (seconds), where the positions are such."""
    found: dict[str, Any] = {"stream": axis.stream, "positions": axis.n}
    if axis.pieces is not None:
        found["tokens"] = [piece.text for piece in axis.pieces]
    if axis.times is not None:
        found["times_s"] = [_numbers(row) for row in axis.times]
    return found


def _numbers(values: Float[np.ndarray, " n"]) -> Sequence[float | None]:
    return [round(float(v), _DIGITS) if np.isfinite(v) else None for v in values]
