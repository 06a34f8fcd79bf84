"""`address.json` in a run folder: where a tracker shows the run, for those who look for it there.

A run that was told online has an address; one that was kept offline has a folder, and the command
that uploads it.
"""

import shlex
from pathlib import Path

from sermm.core.files import read_json, write_json

ADDRESS = "address.json"


def write_address(folder: Path, url: str | None, record: Path) -> None:
    """Notes where a run is shown.

    Args:
        folder: of the run.
        url: None for what was kept offline.
        record: W&B's own folder of the run, inside `folder`.
    """
    write_json(folder / ADDRESS, {"url": url, "record": str(record.relative_to(folder))})


def address(folder: Path) -> str | None:
    """The address of a run, or the command that uploads what was kept offline.

    Args:
        folder: of the run, wherever it lies by now.

    Returns:
        None where no tracker shows it, or the file cannot be read.
    """
    try:
        found = read_json(folder / ADDRESS)
        return found["url"] or f"wandb sync {shlex.quote(str(folder / found['record']))}"
    except (OSError, ValueError, KeyError, TypeError):
        return None
