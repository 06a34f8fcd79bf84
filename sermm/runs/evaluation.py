"""`evaluations/<digest>/`: a trained run's scores on another fold, split or corpus.

`sermm evaluate` writes one folder for each thing that a run is scored on, with a `result.json` and
a `predictions.csv` of its own. A table of a study's scores never holds them: their protocol may not
be the run's. What is the run's own test part under other conditions has a table of its own.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sermm.core.files import write_json
from sermm.runs.fields import record
from sermm.runs.layout import RESULT, read_object

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
        condition: what they were heard and read under (`sermm.configuration.conditions`), "clean"
            for as they are; None: a record of an older version, which does not say.
        as_trained: but for the condition it is the run's own test part, read as the run read it.
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
    cut_texts: int | None = None
    condition: str | None = None
    as_trained: bool = False

    def write(self, folder: Path) -> None:
        """Writes it into its own folder, whole or not at all."""
        write_json(folder / RESULT, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The fields as `result.json` has them."""
        return asdict(self)


def read_evaluations(folder: Path) -> list[Evaluation]:
    """What a run has been scored on since, by the names of the folders; most runs have nothing.

    Args:
        folder: of the run.

    Raises:
        InputError: a record is damaged.
    """
    paths = sorted((folder / EVALUATIONS).glob(f"*/{RESULT}"))
    return [record(Evaluation, read_object(path), str(path)) for path in paths]
