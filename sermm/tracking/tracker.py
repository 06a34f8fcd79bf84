"""Experiment trackers beside the run folder, which stays the record.

A tracker is told what the files of the run folder say, once an epoch and at the end: deleting all
that it wrote loses nothing, and nothing that befalls it stops or changes a run.

It is told all epochs each time, not the last one: after an interruption, or when a server was away,
it takes those that it has not got. A tracker of another kind is a subclass of `Tracker` and a file
`conf/logger/<name>.yaml`.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from sermm.configuration.verbs import RunConfig
from sermm.core.records import Utterance
from sermm.runs.metrics import EPOCH, Figures, read_epochs
from sermm.runs.reading.predictions import as_rows, read_predictions
from sermm.runs.result import Result


@dataclass(frozen=True)
class Ended:
    """What a tracker is told of a finished run.

    Attributes:
        result: what it came to.
        predictions: its rows, as text: of each utterance of both parts `utterance_id`, `split`,
            `label`, `predicted` and `p_<class>`.
        utterances: by id, for those who want to hear them.
    """

    result: Result
    predictions: Sequence[Mapping[str, str]]
    utterances: Mapping[str, Utterance]

    def part(self, split: str) -> list[Mapping[str, str]]:
        """The predictions of one part."""
        return [row for row in self.predictions if row["split"] == split]


class Tracker:
    """Tells nobody anything (`logger=none`); what others do is below.

    Calls come in this order: `start`, `epochs` any number of times, `finished` if the run did,
    `stop`. Whatever one of them raises ends the tracking of this run (`Watched`).
    """

    def start(self, config: RunConfig, folder: Path) -> None:
        """Begins, or goes on with, the record of the run in this folder.

        Args:
            config: of the run, resolved.
            folder: of the run; what the tracker keeps on disk lies in it.
        """

    def epochs(self, rows: Sequence[Figures]) -> None:
        """Takes all epochs so far, those that it has been told before too.

        Args:
            rows: figures by name, `epoch` (from 1) among them.
        """

    def finished(self, ended: Ended) -> None:
        """Takes what the run came to."""

    def stop(self, status: int) -> None:
        """The run is over, with this exit status."""


class Watched(Callback):
    """Hands on to a tracker until that fails; says so once, and goes on without it.

    A callback of Lightning for the epochs; the rest is called by `sermm.engine.run`.

    Args:
        tracker: any.
        config: of the run.
        folder: of the run.
    """

    def __init__(self, tracker: Tracker, config: RunConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self._tracker: Tracker | None = tracker

    def start(self) -> None:
        """The run begins."""
        self._tell(lambda tracker: tracker.start(self.config, self.folder))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """An epoch is over, and `metrics.csv` has it."""
        self._tell(lambda tracker: tracker.epochs(epochs_of(self.folder)))

    def finished(self, result: Result, utterances: Sequence[Utterance]) -> None:
        """The run has its result."""
        self._tell(lambda tracker: self._finish(tracker, result, utterances))

    def stop(self, status: int) -> None:
        """The run is over.

        Args:
            status: an exit status, 0 if it finished.
        """
        self._tell(lambda tracker: tracker.stop(status))

    def _finish(self, tracker: Tracker, result: Result, utterances: Sequence[Utterance]) -> None:
        """Epochs first: a run that goes on after its last epoch has none that ends here."""
        tracker.epochs(epochs_of(self.folder))
        rows = as_rows(read_predictions(self.folder, result.classes))
        tracker.finished(Ended(result, rows, {u.id: u for u in utterances}))

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        """Calls the tracker, and does without it from its first failure on."""
        if self._tracker is None:
            return
        try:
            what(self._tracker)
        except Exception as error:
            name, broken, self._tracker = type(self._tracker).__name__, self._tracker, None
            with suppress(Exception):
                broken.stop(1)
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"  {name} is not told of this run any more: {reason}", file=sys.stderr)


@contextmanager
def tracked(config: RunConfig, folder: Path) -> Iterator[Watched]:
    """The tracker of a run, which ends with the body, so that no two folds share one.

    Args:
        config: of the run, whose `logger` makes the tracker.
        folder: of the run.

    Yields:
        The callback that tells the tracker.
    """
    watched = Watched(config.logger.make(), config, folder)
    status = 1
    try:
        yield watched
        status = 0
    finally:
        watched.stop(status)


def epochs_of(folder: Path) -> list[Figures]:
    """The figures of the epochs so far, the number of each among them."""
    return [{EPOCH: float(number), **figures} for number, figures in read_epochs(folder)]


def since(rows: Sequence[Figures], step: int) -> list[tuple[int, Figures]]:
    """The epochs from `step` on, with their numbers.

    Args:
        rows: of all epochs so far.
        step: number of an epoch, from 1.
    """
    numbered = [(int(row[EPOCH]), row) for row in rows]
    return [(epoch, row) for epoch, row in numbered if epoch >= step]
