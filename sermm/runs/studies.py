"""Studies and the run folders in them; imports nothing that takes time.

A study is a folder of run folders under `runs_dir`, and has no file of its own but the plans of its
sweeps. `sermm status` shall take two seconds for ten thousand runs, so nothing here parses YAML: a
few fields are picked out of `config.yaml` as text.
"""

import os
import re
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.files import is_folder
from sermm.runs.layout import CONFIG

REPORT_FOLDER = "report"
_GROUP = r"^{}:\n(?:[ \t].*\n)*?  name: *(\S+)"
_TITLE = {
    "data": re.compile(_GROUP.format("data"), re.MULTILINE),
    "model": re.compile(_GROUP.format("model"), re.MULTILINE),
    "protocol": re.compile(_GROUP.format("protocol"), re.MULTILINE),
    "fold": re.compile(r"^fold: *(\S+)", re.MULTILINE),
    "seed": re.compile(r"^seed: *(\S+)", re.MULTILINE),
}


def find_study(study: str, runs_dir: Path) -> Path:
    """The folder of a study given by name or as a folder.

    Args:
        study: a name under `runs_dir`, which goes first, or a path.
        runs_dir: where studies are.

    Raises:
        InputError: there is none; the message names those that there are.
    """
    for folder in places(study, runs_dir):
        if is_folder(folder):
            return folder
    known = [folder.name for folder in known_studies(runs_dir)]
    raise InputError(
        f"there is no study {study!r} in {runs_dir} ({', '.join(known) or 'no study at all'}); "
        "give one of these names, a folder, or runs_dir=..."
    )


def places(word: str, runs_dir: Path) -> list[Path]:
    """Where a word may name something: below `runs_dir`, which goes first, and as a path."""
    path = Path(word)
    if not word:
        return []
    inside = path.parts and not path.is_absolute() and ".." not in path.parts
    return [runs_dir / path, path] if inside else [path]


def known_studies(runs_dir: Path) -> list[Path]:
    """The folders of all studies, by name."""
    return run_folders(runs_dir) if is_folder(runs_dir) else []


def run_folders(parent: Path) -> list[Path]:
    """The folders inside that are not hidden and not the report, by name.

    Hidden are a sweep's plans (`.sweeps`). Sorted, so that whatever is made of them comes in the
    same order on every machine.
    """
    with os.scandir(parent) as inside:
        names = [entry.name for entry in inside if entry.is_dir() and entry.name != REPORT_FOLDER]
    return [parent / name for name in sorted(names) if not name.startswith(".")]


def title(folder: Path) -> dict[str, str]:
    """Corpus, model, protocol, fold and seed, as far as the run's `config.yaml` tells.

    Args:
        folder: of the run, in whatever state.

    Returns:
        By these names; those that the file does not tell are not there.
    """
    try:
        text = (folder / CONFIG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = {name: pattern.search(text) for name, pattern in _TITLE.items()}
    return {name: match[1] for name, match in found.items() if match}
