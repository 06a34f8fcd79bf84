"""`metrics.csv`: a row an epoch, with the figures that the epoch has.

The callbacks of training rewrite the whole file at the end of each epoch, the trackers pass its
rows on, `sermm status` shows the last one, and the report draws learning curves from all of them.
Columns are named `<part>/<figure>`: `train/loss`, `val/ua`; scores are fractions.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sermm.core.damage import in_words
from sermm.core.errors import InputError
from sermm.core.files import write_text
from sermm.runs.layout import METRICS

EPOCH = "epoch"
VAL_UA = "val/ua"
Figures = dict[str, float]


class Epoch(NamedTuple):
    """What an epoch says of itself.

    Attributes:
        number: the first is 1.
        figures: by name, `val/ua`; what has diverged may not be finite.
    """

    number: int
    figures: Figures


def write_epochs(folder: Path, epochs: Sequence[Epoch]) -> None:
    """Writes the file, whole or not at all; columns are all names that occur.

    Args:
        folder: of the run.
        epochs: all so far, in order; a figure that one of them lacks is an empty cell.
    """
    names = dict.fromkeys(name for epoch in epochs for name in epoch.figures)
    text = io.StringIO()
    writer = csv.DictWriter(text, [EPOCH, *names], lineterminator="\n")
    writer.writeheader()
    writer.writerows({EPOCH: epoch.number, **epoch.figures} for epoch in epochs)
    write_text(folder / METRICS, text.getvalue())


def read_epochs(folder: Path) -> list[Epoch]:
    """The epochs of a run, in order; none for what has no such file.

    A figure that an epoch does not have is not there. A last line without an end, as a copy that
    was interrupted has it, does not count. Of two rows of one epoch the later one counts.

    Args:
        folder: of the run.

    Raises:
        InputError: the file cannot be read.
    """
    path = folder / METRICS
    try:
        text = path.read_text(encoding="utf-8")
        found = {epoch.number: epoch for epoch in _epochs(text[: text.rfind("\n") + 1])}
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"cannot read {path}: {in_words(error)}; remove the file to report without the curve "
            "of this run, or the run's folder to train it again"
        ) from error
    return [found[number] for number in sorted(found)]


def _epochs(text: str) -> list[Epoch]:
    rows = csv.DictReader(text.splitlines())
    names = rows.fieldnames or ()
    if EPOCH not in names:
        raise ValueError(f"expected a column {EPOCH}, got {', '.join(names) or 'an empty file'}")
    return [_epoch(row) for row in rows]


def _epoch(row: Mapping[str | None, str | None]) -> Epoch:
    """A row: a number, and the figures whose cells are not empty."""
    if None in row:
        raise ValueError(f"the row of epoch {row[EPOCH]} has more values than there are columns")
    figures = {str(name): float(value) for name, value in row.items() if value and name != EPOCH}
    return Epoch(int(row[EPOCH] or ""), figures)


def progress(folder: Path) -> tuple[int | None, float | None]:
    """The last whole epoch of a run and its validation UA; None for what it does not tell.

    For those who look on while the run writes (the board of a sweep, `sermm status`): they never
    fail for want of a figure.
    """
    try:
        *_, (number, figures) = read_epochs(folder)
    except ValueError:
        # no epoch, or an unreadable file: those who look on do not mind
        return None, None
    return number, figures.get(VAL_UA)
