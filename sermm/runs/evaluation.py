"""`evaluations/<digest>/`: a trained run's scores on another fold, split or corpus.

`sermm evaluate` writes one folder for each thing that a run is scored on, with a `result.json` and
a `predictions.csv` of its own. Tables of a study never hold them: their protocol is not the run's.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sermm.core.files import write_json
from sermm.runs.layout import RESULT

EVALUATIONS = "evaluations"


@dataclass(frozen=True)
class Seen:
    """How much of what was scored the run was trained on; other than 0, the scores are too good."""

    utterances: int
    talkers: int


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation came to.

    Attributes:
        run: the key of the run.
        data, protocol, fold: what it was scored on, likewise `split`.
        utterances: how many.
        metrics: as in `sermm.runs.result.Result`.
        cut: utterances that were cut at `trainer.max_seconds`.
        cut_texts: utterances whose text was cut at `encoder.text.max_tokens`.
    """

    run: str
    model: str
    data: str
    protocol: str
    fold: int
    split: str
    utterances: int
    seen_in_training: Seen
    metrics: dict[str, float | None]
    cut: int
    cut_texts: int

    def write(self, folder: Path) -> None:
        """Writes it into its own folder, whole or not at all."""
        write_json(folder / RESULT, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The fields as `result.json` has them."""
        return asdict(self)
