"""What is said of a file of a run folder that cannot be read: what is wrong, and the way out."""

import json
import os
import shlex
from pathlib import Path

from sermm.core.errors import InputError, first_line


def damaged(path: Path, reason: str | Exception) -> InputError:
    """The error for a file of a run folder that nobody can go on with.

    Args:
        path: of the file, right in the run folder.
        reason: what is wrong with it, or what reading it has raised.
    """
    if isinstance(reason, OSError) and not isinstance(reason, IsADirectoryError):
        return InputError(f"cannot read {path}: {reason.strerror or reason}")
    return InputError(
        f"{path} is damaged: {reason if isinstance(reason, str) else in_words(reason)}; "
        f"`{forgetting(path.parent.parent, path.parent.name)} yes=true` removes the run, and the "
        "command that made it makes it again"
    )


def forgetting(study: Path, key: str = "") -> str:
    """The command that removes a run; without a key that of a study, which wants a further word.

    Args:
        study: its folder; it lies in `runs_dir`, outside of which nothing is forgotten.
        key: of the run.
    """
    runs_dir = study.absolute().parent
    words = ["sermm", "forget", f"{study.absolute().name}/{key}".rstrip("/")]
    if runs_dir != Path(os.environ.get("SERMM_RUNS") or "runs").absolute():
        words.append(f"runs_dir={runs_dir}")
    return shlex.join(words)


def in_words(error: Exception) -> str:
    """What reading a file has raised, for people."""
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON from line {error.lineno} on" if error.doc.strip() else "it is empty"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return first_line(error)
