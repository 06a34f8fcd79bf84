"""TensorBoard: one folder of events for each run folder, written anew when a run goes on.

Events can only be added to, and the epochs of a run that goes on would stand there twice. So the
folder is emptied and gets all epochs that `metrics.csv` has.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.metrics.scores import confusion
from sermm.runs.metrics import Figures
from sermm.tracking import names as tracked
from sermm.tracking.tracker import Ended, Tracker, since


class TensorBoard(Tracker):
    """`logger=tensorboard`: scalars by epoch, and at the end scores and confusion matrices.

    `tensorboard --logdir runs/<study>` shows the runs of a study side by side.
    """

    def __init__(self) -> None:
        self._next = 0

    def start(self, config: RunConfig, folder: Path) -> None:
        """Opens `tensorboard/` in the run folder, empty: all epochs so far are told again.

        Args:
            config: shown as text.
            folder: of the run.

        Raises:
            InputError: the package tensorboard is missing.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "the package tensorboard is missing: pip install 'sermm[tensorboard]'"
            ) from error
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._writer.add_text("config", f"```\n{config.as_yaml()}\n```")
        self._writer.flush()

    def epochs(self, rows: Sequence[Figures]) -> None:
        """Tells the epochs that are new."""
        for epoch, row in since(rows, self._next):
            for name, value in row.items():
                self._writer.add_scalar(name, value, epoch)
            self._next = epoch + 1
        self._writer.flush()

    def finished(self, ended: Ended) -> None:
        """Scores at the chosen epoch, and confusion matrices as tables."""
        best, classes = ended.result.epochs.best, ended.result.classes
        for name, value in tracked.figures(ended.result).items():
            self._writer.add_scalar(f"result/{name}", value, best)
        for split in tracked.SPLITS:
            if part := ended.part(split):
                self._writer.add_text(tracked.confusion(split), markdown(part, classes), best)

    def stop(self, status: int) -> None:  # noqa: ARG002
        """Closes the file."""
        self._writer.close()


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
