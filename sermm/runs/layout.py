"""The files of a run folder by name, and the version of their format.

    runs/<study>/<key>/config.yaml       the resolved configuration
                       status.json       how the run is: `sermm.runs.status`
                       result.json       what it came to: `sermm.runs.result`
                       predictions.csv   a row an utterance: `sermm.runs.predictions`
                       metrics.csv       a row an epoch: `sermm.runs.metrics`
                       evaluations/      further scores: `sermm.runs.evaluation`
                       checkpoints/, encoders/

Nobody but `sermm.runs` opens these files. Whoever changes what one of them means raises `FORMAT`
and teaches its reader the older form.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sermm.core.errors import InputError
from sermm.core.files import read_json

CONFIG = "config.yaml"
STATUS = "status.json"
RESULT = "result.json"
METRICS = "metrics.csv"
PREDICTIONS = "predictions.csv"
# What a run folder is known by, whatever else is not there yet.
MARKS = (CONFIG, STATUS)
# 0: without `format` and `floor`. 1: has both.
FORMAT = 1


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object of a run folder, of this format or an older one.

    Raises:
        FileNotFoundError: there is no such file; likewise NotADirectoryError.
        InputError: it is damaged, or of a newer format.
    """
    try:
        found = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds a {type(found).__name__}, expected an object")
    refuse_newer(found, str(path))
    return found


def refuse_newer(found: Mapping[str, Any], where: str) -> None:
    """Refuses what this version does not know.

    Raises:
        InputError: it is of a newer format.
    """
    version = format_of(found)
    if not isinstance(version, int) or version > FORMAT:
        raise InputError(
            f"{where} was written by a newer sermm (format {version}, this one reads up to "
            f"{FORMAT}); update sermm"
        )


def format_of(found: Mapping[str, Any]) -> Any:
    """The format that a file says it has; 0 for what says nothing."""
    version = found.get("format")
    return 0 if version is None else version


def is_run(folder: Path) -> bool:
    """Whether it is a run folder, in whatever state."""
    return any((folder / name).is_file() for name in MARKS)
