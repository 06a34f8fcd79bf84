"""The folders of a study and what state each run is in; imports nothing that takes time."""

import errno
import os
import re
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sermm.core.errors import InputError

REPORT_FOLDER = "report"
HEARTBEAT_LIMIT = timedelta(minutes=5)
_GROUP = r"^{}:\n(?:[ \t].*\n)*?  name: *(\S+)"
_TITLE = {
    "model": re.compile(_GROUP.format("model"), re.MULTILINE),
    "protocol": re.compile(_GROUP.format("protocol"), re.MULTILINE),
    "fold": re.compile(r"^fold: *(\S+)", re.MULTILINE),
    "seed": re.compile(r"^seed: *(\S+)", re.MULTILINE),
}


def find_study(study: str, runs_dir: Path) -> Path:
    """The folder of a study given by name or as a folder.

    Raises:
        InputError: there is none.
    """
    for folder in (runs_dir / study, Path(study)):
        if study and folder.is_dir():
            return folder
    known = [folder.name for folder in run_folders(runs_dir)] if runs_dir.is_dir() else []
    raise InputError(
        f"there is no study {study!r} in {runs_dir} ({', '.join(known) or 'no study at all'}); "
        "give one of these names, a folder, or runs_dir=..."
    )


def run_folders(parent: Path) -> list[Path]:
    """The folders inside that are not hidden and not the report, by name."""
    with os.scandir(parent) as inside:
        names = [entry.name for entry in inside if entry.is_dir() and entry.name != REPORT_FOLDER]
    return [parent / name for name in sorted(names) if not name.startswith(".")]


def standing(status: Any) -> tuple[str, str]:
    """State and reason (maybe empty) by a parsed `status.json`.

    What says that it is running is interrupted if its process is gone from this host, or has given
    no sign of life for `HEARTBEAT_LIMIT`.

    Raises:
        ValueError: it has no state, or is running and has no heartbeat.
    """
    if not isinstance(status, dict) or not isinstance(status.get("state"), str):
        raise ValueError("status.json has no state")
    if status["state"] != "running":
        lines = str(status.get("error") or "").strip().splitlines()
        return status["state"], lines[-1] if lines else ""
    beat = heartbeat(status)
    if _gone(status):
        return "interrupted", f"process {status['pid']} is gone from {status['host']}"
    if datetime.now(UTC) - beat > HEARTBEAT_LIMIT:
        return "interrupted", f"no sign of life since {beat.isoformat()}"
    return "running", ""


def heartbeat(status: Mapping[str, Any]) -> datetime:
    """The last sign of life.

    Raises:
        ValueError: there is none.
    """
    beat = datetime.fromisoformat(str(status.get("heartbeat")))
    return beat if beat.tzinfo else beat.replace(tzinfo=UTC)


def _gone(status: Mapping[str, Any]) -> bool:
    pid = status.get("pid")
    if not isinstance(pid, int) or pid < 1 or status.get("host") != _host():
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        # not permitted: there is one, of another user
        return error.errno == errno.ESRCH
    return False


@cache
def _host() -> str:
    return socket.gethostname()


def title(folder: Path) -> dict[str, str]:
    """Model, protocol, fold and seed, as far as the run's `config.yaml` tells."""
    config = folder / "config.yaml"
    text = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
    found = {name: pattern.search(text) for name, pattern in _TITLE.items()}
    return {name: match[1] for name, match in found.items() if match}
