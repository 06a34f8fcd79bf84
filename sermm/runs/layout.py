"""The files of a run folder by name, and the version of their format.

    runs/<study>/<key>/config.yaml       the resolved configuration
                       status.json       how the run is: `sermm.runs.status`
                       result.json       what it came to: `sermm.runs.result`
                       predictions.csv   a row an utterance: `sermm.runs.predictions`
                       metrics.csv       a row an epoch: `sermm.runs.metrics`
                       evaluations/      further scores: `sermm.runs.evaluation`
                       checkpoints/      best.ckpt; until the run has finished, last.ckpt and
                                         the one before it, before.ckpt, and, where the last
                                         epoch is scored, validation's choice, other.ckpt
                       encoders/         what encoders need beside weights, such as tokenizers
                       address.json      where W&B shows the run: `sermm.runs.address`

Nobody but `sermm.runs` opens these files (the configuration: `sermm.configuration`). Whoever
changes what one of them means raises `FORMAT` and teaches its reader the older form. The number
stands in `status.json` and `result.json`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sermm.core.damage import damaged
from sermm.core.errors import InputError
from sermm.core.files import read_json

CONFIG = "config.yaml"
STATUS = "status.json"
RESULT = "result.json"
METRICS = "metrics.csv"
PREDICTIONS = "predictions.csv"
# In a study's folder: what TensorBoard shows of its runs, a folder each, named for people.
EVENTS = ".tensorboard"
# What a run folder is known by, whatever else is not there yet.
MARKS = (CONFIG, STATUS)
# 0: without `format` and `floor`. 1: has both.
FORMAT = 1


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a run folder, of this format or an older one.

    A file that is absent keeps Python's own error, for callers to whom that means "not yet"; one
    that is damaged does not, as nobody can go on with it.

    Args:
        path: of the file.

    Returns:
        The object as parsed; `sermm.runs.fields.record` makes a record of it.

    Raises:
        FileNotFoundError: there is no such file; likewise NotADirectoryError.
        InputError: it is damaged, or of a newer format.
    """
    try:
        found = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(found, dict):
        raise damaged(path, f"it holds a {type(found).__name__}, expected an object")
    if type(version := format_of(found)) is not int:
        raise damaged(path, f"its format is {version!r}, expected a number")
    refuse_newer(found, str(path))
    return found


def refuse_newer(found: Mapping[str, Any], where: str) -> None:
    """Refuses what this version does not know.

    An older format is read, as a study may take months and a report reads all of it. A newer one
    could mean something else by the same words, so guessing is worse than refusing.

    Args:
        found: the object.
        where: its file, for the message.

    Raises:
        InputError: it is.
    """
    version = format_of(found)
    if version > FORMAT:
        raise InputError(
            f"{where} was written by a newer sermm (format {version}, this one reads up to "
            f"{FORMAT}); update sermm"
        )


def format_of(found: Mapping[str, Any]) -> Any:
    """The format that a file says it has; 0 for what says nothing.

    Format 0 is from before there was a number. What is there comes back as it is, be it no number:
    `read_object` judges it.
    """
    version = found.get("format")
    return 0 if version is None else version


def is_run(folder: Path) -> bool:
    """Whether it is a run folder, in whatever state.

    The configuration is written first and the status next, so either will do; a folder of a study
    has neither.
    """
    try:
        return any((folder / name).is_file() for name in MARKS)
    except OSError:
        # no such name can be
        return False
