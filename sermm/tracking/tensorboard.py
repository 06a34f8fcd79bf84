"""TensorBoard: one folder of events for each run, written anew when a run goes on.

TensorBoard calls a run by the path of its folder. So events do not lie in the run folder, whose
name is a key, but beside it: `runs/<study>/.tensorboard/<system>/fold1-seed0-<key>`, and what the
run came to in `best` below that, where a table of settings and scores (HParams) finds it too.

Events can only be added to, and the epochs of a run that goes on would stand there twice. So the
folder is emptied and gets all epochs that `metrics.csv` has.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from sermm.core.errors import InputError
from sermm.metrics.scores import confusion
from sermm.runs.folder import clear_events, events_folder
from sermm.runs.layout import EVENTS
from sermm.runs.metrics import Figures
from sermm.tracking import names as tracked
from sermm.tracking.tracker import Begun, Ended, Stop, Tracker, since

BEST = "best"


class TensorBoard(Tracker):
    """`logger=tensorboard`: scalars by epoch, and at the end scores and confusion matrices.

    `tensorboard --logdir runs/<study>/.tensorboard` shows the runs of a study side by side.
    """

    def __init__(self) -> None:
        self._next = 0

    def start(self, begun: Begun) -> None:
        """Opens the folder of the run's events, empty: all epochs so far are told again.

        Args:
            begun: its configuration is shown as text.

        Raises:
            InputError: the package tensorboard is missing.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "the package tensorboard is missing: pip install 'sermm[tensorboard]'"
            ) from error
        config, self._begun = begun.config, begun
        clear_events(begun.folder)
        # Where older versions kept them.
        shutil.rmtree(begun.folder / "tensorboard", ignore_errors=True)
        place = f"fold{config.fold}-seed{config.seed}"
        self._events = events_folder(begun.folder, as_file_name(begun.label), place)
        self._writer = SummaryWriter(str(self._events))
        self._writer.add_text("config", f"```\n{config.as_yaml()}\n```")
        self._writer.flush()
        study = shlex.quote(str(begun.folder.parent / EVENTS))
        print(f"  TensorBoard: tensorboard --logdir {study}", file=sys.stderr)

    def epochs(self, rows: Sequence[Figures]) -> None:
        """Tells the epochs that are new."""
        for epoch, row in since(rows, self._next):
            for name, value in row.items():
                self._writer.add_scalar(name, value, epoch)
            self._next = epoch + 1
        self._writer.flush()

    def finished(self, ended: Ended) -> None:
        """Scores at the chosen epoch beside the settings, and confusion matrices as tables."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        best, classes = ended.result.epochs.best, ended.result.classes
        for split in tracked.SPLITS:
            if part := ended.part(split):
                self._writer.add_text(tracked.confusion(split), markdown(part, classes), best)
        # Without a list of columns, TensorBoard makes it of what all runs have.
        _, begin, end = hparams(tracked.settings(self._begun), {})  # type: ignore[no-untyped-call]
        with SummaryWriter(str(self._events / BEST)) as writer:
            for summary in (begin, end):
                writer.file_writer.add_summary(summary)
            for name, value in tracked.outcome(ended).items():
                writer.add_scalar(name, value, best)

    def stop(self, stop: Stop) -> None:  # noqa: ARG002
        """Closes the file."""
        self._writer.close()


def as_file_name(label: str) -> str:
    """A system's name in characters of a file's name."""
    return re.sub(r"[^\w.,=+ -]+", "-", label.replace("[", "").replace("]", "")).strip()


def markdown(rows: Sequence[Mapping[str, str]], classes: Sequence[str]) -> str:
    """The confusion matrix of predictions as a Markdown table: rows are labels.

    Args:
        rows: of one part, with the names of `label` and `predicted`.
        classes: in the order of rows and columns.
    """
    index = {name: i for i, name in enumerate(classes)}
    pairs = np.array([[index[row["label"]], index[row["predicted"]]] for row in rows])
    counts = confusion(pairs[:, 0], pairs[:, 1], len(classes))
    lines = [["label \\ predicted", *classes], ["---"] * (len(classes) + 1)]
    lines += [[name, *map(str, row)] for name, row in zip(classes, counts.tolist(), strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
