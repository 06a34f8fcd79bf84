"""What stands between a run and its tracker: what the run folder says."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from sermm.configuration.verbs import RunConfig
from sermm.core.records import Utterance
from sermm.runs.metrics import EPOCH, Figures, read_epochs
from sermm.runs.reading.predictions import as_rows, read_predictions
from sermm.runs.result import Result
from sermm.runs.status import standing
from sermm.runs.stopping import stop_of
from sermm.tracking.tracker import Begun, Ended, Stop, Tracker


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
