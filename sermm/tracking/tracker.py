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
from functools import cached_property
from pathlib import Path
from typing import Literal

from lightning import Callback, LightningModule, Trainer

from sermm.configuration.identity import system_key
from sermm.configuration.verbs import RunConfig
from sermm.core.records import Utterance
from sermm.runs.metrics import EPOCH, Figures, read_epochs
from sermm.runs.reading.predictions import as_rows, read_predictions
from sermm.runs.result import Result
from sermm.runs.status import standing
from sermm.runs.stopping import stop_of
from sermm.tracking.systems import system_label

# How a run ends for a tracker; untracked: the run goes on, and is not told any more.
State = Literal["finished", "failed", "preempted", "cancelled", "interrupted", "untracked"]


@dataclass(frozen=True)
class Begun:
    """What a tracker is told of a run that begins, or goes on.

    Attributes:
        config: resolved.
        folder: of the run; what a tracker keeps on disk lies in it, or is removed with it.
        settings: what was typed, less fold, seed and study.
    """

    config: RunConfig
    folder: Path
    settings: Mapping[str, str]

    @cached_property
    def system(self) -> str:
        """The digest of its system, that of its row in a report."""
        return system_key(self.config)

    @cached_property
    def label(self) -> str:
        """What its system is called: the same for all folds and seeds, and for no other system."""
        name = self.config.model.name
        return system_label(self.folder.parent, self.system, name, self.settings)


@dataclass(frozen=True)
class Stop:
    """How a run ended, and why if it did not finish, in one line."""

    state: State
    reason: str = ""


@dataclass(frozen=True)
class Ended:
    """What a tracker is told of a finished run.

    Attributes:
        result: what it came to.
        epochs: figures of all epochs, by name.
        predictions: its rows, as text: of each utterance of both parts `utterance_id`, `split`,
            `label`, `predicted` and `p_<class>`.
        utterances: by id, for those who want to hear them.
    """

    result: Result
    epochs: Sequence[Figures]
    predictions: Sequence[Mapping[str, str]]
    utterances: Mapping[str, Utterance]

    @property
    def chosen(self) -> Figures:
        """The figures of the chosen epoch; none where nothing was trained by epochs."""
        best = self.result.epochs.best
        return next((row for row in self.epochs if row[EPOCH] == best), {})

    def part(self, split: str) -> list[Mapping[str, str]]:
        """The predictions of one part."""
        return [row for row in self.predictions if row["split"] == split]


class Tracker:
    """Tells nobody anything (`logger=none`); what others do is below.

    Calls come in this order: `start`, `epochs` any number of times, `finished` if the run did,
    `stop`. Whatever one of them raises ends the tracking of this run (`Watched`).
    """

    def start(self, begun: Begun) -> None:
        """Begins, or goes on with, the record of a run."""

    def epochs(self, rows: Sequence[Figures]) -> None:
        """Takes all epochs so far, those that it has been told before too.

        Args:
            rows: figures by name, `epoch` (from 1) among them.
        """

    def finished(self, ended: Ended) -> None:
        """Takes what the run came to."""

    def leaving(self) -> None:
        """The run's job goes back into the queue, and this process may be killed at any moment."""

    def stop(self, stop: Stop) -> None:
        """The run is over."""


class Watched(Callback):
    """Hands on to a tracker until that fails; says so once, and goes on without it.

    A callback of Lightning for the epochs; the rest is called by `sermm.engine.run`.

    Args:
        tracker: any.
        begun: the run.
    """

    def __init__(self, tracker: Tracker, begun: Begun) -> None:
        self.begun = begun
        self.folder = begun.folder
        self._tracker: Tracker | None = tracker
        self._started = False

    def start(self) -> None:
        """The run begins."""
        self._started = True
        self._tell(lambda tracker: tracker.start(self.begun))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """An epoch is over, and `metrics.csv` has it."""
        self._tell(lambda tracker: tracker.epochs(epochs_of(self.folder)))

    def finished(self, result: Result, utterances: Sequence[Utterance]) -> None:
        """The run has its result."""
        self._tell(lambda tracker: self._finish(tracker, result, utterances))

    def leaving(self) -> None:
        """The run's job is about to be put back into the queue."""
        self._tell(lambda tracker: tracker.leaving())

    def stop(self, stop: Stop) -> None:
        """The run is over."""
        self._tell(lambda tracker: tracker.stop(stop))

    def _finish(self, tracker: Tracker, result: Result, utterances: Sequence[Utterance]) -> None:
        """Epochs first: a run that goes on after its last epoch has none that ends here."""
        epochs = epochs_of(self.folder)
        tracker.epochs(epochs)
        rows = as_rows(read_predictions(self.folder, result.classes))
        tracker.finished(Ended(result, epochs, rows, {u.id: u for u in utterances}))

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        """Calls the tracker once it has started, and does without it from its first failure on."""
        if self._tracker is None or not self._started:
            return
        try:
            what(self._tracker)
        except Exception as error:
            name, broken, self._tracker = type(self._tracker).__name__, self._tracker, None
            reason = " ".join(str(error).split()) or type(error).__name__
            with suppress(Exception):
                broken.stop(Stop("untracked", reason))
            print(f"  {name} is not told of this run any more: {reason}", file=sys.stderr)


@contextmanager
def tracked(config: RunConfig, folder: Path, settings: Mapping[str, str]) -> Iterator[Watched]:
    """The tracker of a run, which ends with the body, so that no two folds share one.

    Args:
        config: of the run, whose `logger` makes the tracker.
        folder: of the run, which says by then how the run ended.
        settings: as in `Begun`.

    Yields:
        The callback that tells the tracker.
    """
    watched = Watched(config.logger.make(), Begun(config, folder, settings))
    try:
        yield watched
    except BaseException as error:
        watched.stop(stopped_by(error, folder))
        raise
    watched.stop(Stop("finished"))


def stopped_by(error: BaseException, folder: Path) -> Stop:
    """How a run ended, by what it raised and what its folder says."""
    found = standing(folder)
    if found.state == "finished":
        return Stop("finished")
    said = found.reason if found.state in ("failed", "interrupted") else ""
    reason = said or " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return Stop(stop_of(reason), reason)
    return Stop("failed", reason)


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
