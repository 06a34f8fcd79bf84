"""Late combination of finished systems: the average of their logits, without retraining.

    y = softmax(sum_i v_i z_i),   v_i = w_i / sum_j w_j,   z_i the logits of system i

A run keeps probabilities p_i = softmax(z_i), not logits. As log p_ic = z_ic - log sum_d exp z_id,

    sum_i v_i log p_ic = sum_i v_i z_ic - (a number that is the same for every class c),

and a softmax does not change when the same number is added to all classes. So the average of the
log-probabilities gives the same y as the average of the logits: nothing is lost.

Probabilities below `SMALLEST`, 0 among them, are raised to it: log 0 would let one system forbid a
class whatever the others say.

Source: Zhao et al. 2022, section 2.4 (co-attention and late fusion, their logits averaged).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sermm.configuration.compose import as_yaml
from sermm.core.errors import InputError
from sermm.engine.combination.parts import Part, Plan
from sermm.engine.combination.record import config, record
from sermm.runs.folder import RunFolder
from sermm.runs.predictions import Row, write_rows
from sermm.runs.result import Result

# The smallest normal float32, the type that a run's softmax was computed in.
SMALLEST = float(np.finfo(np.float32).tiny)


def average(
    probabilities: Float[np.ndarray, "parts n k"], weights: Float[np.ndarray, " parts"]
) -> Float[np.ndarray, "n k"]:
    """Softmax of the weighted mean of the log-probabilities, and so of the logits.

    Args:
        probabilities: of each part, rows sum to 1; in float64, though the runs computed in
            float32, so that the average adds no error of its own.
        weights: above 0; only their ratios matter.

    Returns:
        Probabilities that sum to 1.
    """
    logs = np.log(np.maximum(probabilities, SMALLEST))
    mean = np.tensordot(weights / weights.sum(), logs, axes=1)
    odds: np.ndarray = np.exp(mean - mean.max(-1, keepdims=True))
    odds /= odds.sum(-1, keepdims=True)
    return odds


def combine(plan: Plan, study_dir: Path) -> Result:
    """Writes the combination's run folder, or finds that this has been done.

    Args:
        plan: of the combination.
        study_dir: the study that gets it.

    Returns:
        The result, fresh or as the folder has it.

    Raises:
        InputError: it was made of parts that have predicted anew since, or a part's
            probabilities cannot be read.
        RunBusyError: another process is at it.
    """
    folder = RunFolder(study_dir / plan.key)
    if (done := folder.result) is not None:
        _refuse_older(done, plan, folder)
        return done
    rows = combined_rows(plan)
    folder.start(as_yaml(config(plan, study_dir.name)))
    with folder.running():
        write_rows(folder.path, rows)
        result = record(plan, study_dir.name, rows)
        folder.finish(result)
    return result


def _refuse_older(done: Result, plan: Plan, folder: RunFolder) -> None:
    """A combination of predictions that are gone is not the one that is asked for.

    The key names the parts, not what they predicted: a part that was deleted and run again, on
    other hardware perhaps, keeps its key. The digests of the predictions tell.
    """
    before = dict(zip(done.parts or (), done.part_predictions or (), strict=True))
    for part in plan.parts:
        if before[part.result.key] != part.digest:
            raise InputError(
                f"{folder.path} was made of other predictions than {part.folder} has now; delete "
                "that folder, or use another study="
            )


def combined_rows(plan: Plan) -> list[Row]:
    """Its predictions, sorted by split and id.

    What is not predicted is the first part's; a transcript's digest stays only where all agree
    (parts may have read transcripts of different sources).

    Args:
        plan: of parts that have predicted the same utterances.

    Returns:
        Rows with the columns of the first part, as text: what `predictions.csv` of a run has.

    Raises:
        InputError: a part's probabilities are none.
    """
    classes = plan.parts[0].result.classes
    first = sorted(plan.parts[0].rows.values(), key=lambda r: (r["split"], r["utterance_id"]))
    ids = [row["utterance_id"] for row in first]
    # By id, not by place: the files need not be sorted alike.
    stacked = np.stack([_probabilities(part, ids) for part in plan.parts])
    found = average(stacked, np.array(plan.weights, dtype=np.float64))
    rows = []
    for row, p in zip(first, found, strict=True):
        digests = {part.rows[row["utterance_id"]]["transcript_digest"] for part in plan.parts}
        new = {**row, "predicted": classes[int(p.argmax())]}
        new |= {f"p_{c}": repr(float(x)) for c, x in zip(classes, p, strict=True)}
        rows.append(new if len(digests) == 1 else {**new, "transcript_digest": ""})
    return rows


def _probabilities(part: Part, ids: Sequence[str]) -> Float[np.ndarray, "n k"]:
    """The probabilities of a part in the order of these ids; what is none is refused."""
    columns = [f"p_{c}" for c in part.result.classes]
    for i in ids:
        values = [part.rows[i][column] for column in columns]
        if not all(_is_probability(value) for value in values):
            raise InputError(f"{part.folder}: the probabilities of utterance {i} are {values}")
    return np.array([[float(part.rows[i][c]) for c in columns] for i in ids])


def _is_probability(text: str) -> bool:
    """Whether a cell of the file is one; a rounded 1 may be a little above it."""
    try:
        return 0 <= float(text) <= 1 + 1e-6
    except ValueError:
        return False
