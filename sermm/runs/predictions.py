"""`predictions.csv`: one row an utterance, with all that a report needs and no transcript.

Rows are those of the validation and test parts. Columns: `utterance_id, split, label, predicted`, a
probability `p_<class>` for each class, then what scores are split by (fold, group, dialogue,
talker, act). Transcripts stay out, as corpora do not allow to pass them on; a digest of each tells
whether two systems read the same words. Probabilities are written by `repr`, so that they come back
bit for bit: combinations add them up.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from sermm.core.digest import digest
from sermm.core.files import write_text
from sermm.core.records import Utterance
from sermm.core.transcripts import composed
from sermm.metrics.names import METRICS
from sermm.metrics.scores import Scores, confusion, scores
from sermm.runs.layout import PREDICTIONS

# A row as text by column; empty where there is nothing.
Row = dict[str, str]
FIRST_COLUMNS = ("utterance_id", "split", "label", "predicted")
LAST_COLUMNS = ("fold", "group", "dialogue", "talker", "act", "transcript_digest")


@dataclass(frozen=True)
class Prediction:
    """What the system says of one utterance.

    Attributes:
        utterance_id: of the corpus.
        probabilities: `[k]`, in the order of the classes; they sum to 1.
    """

    utterance_id: str
    probabilities: Float[np.ndarray, " k"]


def columns_of(classes: Sequence[str]) -> list[str]:
    """The columns of the file in order: the probability of each class among them."""
    return [*FIRST_COLUMNS, *(f"p_{name}" for name in classes), *LAST_COLUMNS]


def write_predictions(
    folder: Path,
    predictions: Sequence[Prediction],
    splits: Mapping[str, str],
    utterances: Mapping[str, Utterance],
    targets: Mapping[str, str],
    classes: Sequence[str],
    fold: int,
) -> None:
    """Writes the file of a run folder or an evaluation, sorted by split and id.

    Args:
        folder: of the run or the evaluation.
        predictions: of each utterance.
        splits: val or test, by id.
        utterances: by id.
        targets: class by id.
        classes: in the order of the probabilities.
        fold: number of the fold.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns_of(classes))
    for p in sorted(predictions, key=lambda p: (splits[p.utterance_id], p.utterance_id)):
        u = utterances[p.utterance_id]
        writer.writerow(
            [
                *(u.id, splits[u.id], targets[u.id], classes[int(p.probabilities.argmax())]),
                *(repr(float(x)) for x in p.probabilities),
                *(fold, u.group, u.dialogue, u.speaker, u.act),
                "" if u.transcript is None else digest(composed(u.transcript))[:16],
            ]
        )
    write_text(folder / PREDICTIONS, text.getvalue())


def write_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Writes the file of rows that are complete already, as a combination's are.

    Args:
        folder: of the combination.
        rows: at least one; all have the columns of the first.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / PREDICTIONS, text.getvalue())


def score(
    predictions: Sequence[Prediction], targets: Mapping[str, str], classes: Sequence[str]
) -> Scores:
    """Scores of the predictions against the classes by id; the likeliest class is predicted.

    Args:
        predictions: of one split.
        targets: the class of each utterance by id.
        classes: in the order of the probabilities.

    Raises:
        ValueError: there are no predictions.
    """
    index = {c: n for n, c in enumerate(classes)}
    labels = np.array([index[targets[p.utterance_id]] for p in predictions], dtype=np.int64)
    predicted = np.array([p.probabilities.argmax() for p in predictions], dtype=np.int64)
    return scores(confusion(labels, predicted, len(classes)))


def named(found: Scores, classes: Sequence[str], split: str) -> dict[str, float | None]:
    """Scores by the names of `result.json`: `test/ua`, `test/recall_ang`, ...

    Args:
        found: of one split, fractions.
        classes: in the order of `found.recall`.
        split: `val` or `test`.
    """
    means = {f"{split}/{name}": float(getattr(found, name)) for name in METRICS}
    recalls = zip(classes, found.recall, strict=True)
    return {**means, **{f"{split}/recall_{c}": recall for c, recall in recalls}}
