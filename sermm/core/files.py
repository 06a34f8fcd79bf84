"""Files appear whole or not at all."""

import json
import os
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from sermm.core.errors import InputError


@contextmanager
def whole_file(path: Path, before: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it is renamed, on failure removed.

    Args:
        path: of the file.
        before: in the same folder; gets what `path` was, if it was there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if before is not None and path.exists():
            path.replace(before)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def place(path: Path, what: str, key: str, variable: str) -> Iterator[None]:
    """Within, a folder that cannot be made or written is one message that names its key.

    Args:
        path: of the folder.
        what: is kept there, for the message.
        key: of the configuration, by which another place is chosen.
        variable: of the environment, likewise.

    Raises:
        InputError: that message.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write the {what} {path}: {error.strerror}; choose another place with "
            f"{key}= or {variable}"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        OSError: it cannot be read.
        json.JSONDecodeError: it is not JSON.
    """
    return json.loads(path.read_text(encoding="utf-8"))


# By `os.path`, as `Path` raises for what cannot be a name, or not be looked up: it is not there.
def exists(path: Path) -> bool:
    """Whether there is a file or a folder by this name."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Whether there is such a file."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether there is such a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def on_disk(folder: Path, name: str) -> Path:
    """`folder / name`, its parts in the Unicode form that the disk has them in.

    macOS decomposes the names of files (ü is u and a mark), tables have them composed. Where there
    is no such file in either form, the path as it was asked for.
    """
    at = folder
    for part in PurePath(name).parts:
        forms = dict.fromkeys((part, *(unicodedata.normalize(f, part) for f in ("NFC", "NFD"))))
        there = (at / form for form in forms if len(forms) > 1 and exists(at / form))
        at = next(there, at / part)
    return at


def size_text(n_bytes: int) -> str:
    """Bytes for people, in decimal units: 3.6 GB."""
    size, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and units[1:]:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"
