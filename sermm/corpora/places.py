"""Files and folders that a user or a table names: what is there, and where else it may be."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Final

from sermm.core.files import is_file, is_folder

SUFFIXES: Final = (".wav", ".flac")
# So many of the missing files are looked for elsewhere, in so many folders at most.
_SAMPLE: Final = 20
_FOLDERS: Final = 50


def place(given: str | Path | int | None) -> Path | None:
    """A path from the configuration, where a folder's name may be a number: data.root=2024."""
    return None if given is None else Path(str(given))


def advice(cells: Sequence[str], root: Path, table: Path) -> str:
    """Where files that are not below a root lie, as far as can be seen from there; else nothing.

    Args:
        cells: the paths as the table has them; not empty.
        root: where they were looked for.
        table: the file that names them.
    """
    sample = cells[:: -(-len(cells) // _SAMPLE)]
    there = {
        folder: sum(is_file(folder / cell) for cell in sample)
        for folder in dict.fromkeys(_near(root, table))
    }
    best = max(there, key=lambda folder: there[folder])
    if there[best]:
        give = shlex.quote(f"data.root={best}")
        return f"{there[best]} of {len(sample)} looked for are below {best}: give {give}"
    return next(filter(None, (_spelled(cell, root) for cell in sample)), "")


def _near(root: Path, table: Path) -> Iterator[Path]:
    """Folders around the root, the table and the working directory."""
    for start in (table.parent, root, Path.cwd()):
        yield from (start, *start.absolute().parents[:3])
        try:
            inside = (entry for entry in sorted(start.iterdir()) if is_folder(entry))
            yield from (folder for folder, _ in zip(inside, range(_FOLDERS), strict=False))
        except OSError:
            continue


def _spelled(cell: str, root: Path) -> str:
    """How else the file would have to be written to be found below the root; "" = not at all."""
    slashes = cell.replace("\\", "/")
    if slashes != cell and is_file(root / slashes):
        return r"written with / for \ they are there"
    for suffix in SUFFIXES:
        if is_file(root / f"{slashes}{suffix}"):
            return f"with {suffix} at their ends they are there"
    parts = PurePath(slashes).parts
    for first in range(1, len(parts)):
        if is_file(root.joinpath(*parts[first:])):
            return f"without {PurePath(*parts[:first])} at their start they are there"
    return ""
