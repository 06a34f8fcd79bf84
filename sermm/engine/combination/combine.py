"""Late combination of finished systems: the average of their logits, without retraining.

The arithmetic is that of `logits`; here it is done on the predictions of runs, and written.

Source: Zhao et al. 2022, section 2.4 (co-attention and late fusion, their logits averaged).
"""

from pathlib import Path

import numpy as np

from sermm.configuration.compose import as_yaml
from sermm.core.errors import InputError
from sermm.engine.combination.logits import average
from sermm.engine.combination.parts import Plan
from sermm.engine.combination.record import config, record
from sermm.runs.folder import RunFolder
from sermm.runs.predictions import Row, write_rows
from sermm.runs.result import Result


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
    stacked = np.stack([part.probabilities(ids) for part in plan.parts])
    temperatures = None if plan.temperatures is None else np.array(plan.temperatures)
    found = average(stacked, np.array(plan.weights, dtype=np.float64), temperatures)
    rows = []
    for row, p in zip(first, found, strict=True):
        digests = {part.rows[row["utterance_id"]]["transcript_digest"] for part in plan.parts}
        new = {**row, "predicted": classes[int(p.argmax())]}
        new |= {f"p_{c}": repr(float(x)) for c, x in zip(classes, p, strict=True)}
        rows.append(new if len(digests) == 1 else {**new, "transcript_digest": ""})
    return rows
