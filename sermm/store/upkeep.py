"""Looks after the feature stores under one root: lists, verifies, prunes."""

import re
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sermm.core.errors import InputError
from sermm.store.claims import ClaimedError, Claims, claims_of
from sermm.store.index import (
    STORE_FILE,
    DamagedDescriptionError,
    Index,
    last_used,
    read_description,
)
from sermm.store.leftovers import leftovers

_STORE = re.compile(r"[0-9a-f]{16}")
_PRUNED = re.compile(r"\.[0-9a-f]{16}\.pruned-[0-9a-f]+")
_DAY_S = 86400.0


@dataclass(frozen=True)
class StoreInfo:
    """What is known of a store without reading its values.

    Attributes:
        description: what determines the values; empty if it cannot be read.
        items: utterances.
        positions: of all utterances together.
        bytes: of all its files.
        last_used: written or trained on, in seconds since 1970.
        damaged: what is wrong with which file.
    """

    name: str
    folder: Path
    description: dict[str, Any]
    items: int
    positions: int
    bytes: int
    last_used: float
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class StoreCheck:
    """What verifying one store said.

    Attributes:
        shards: that are right.
        bytes: of these.
        damaged: one message for each damaged file; they are out of the store.
        refused: why it could not be verified, else None.
    """

    name: str
    shards: int
    bytes: int
    damaged: tuple[str, ...]
    refused: str | None = None


@dataclass(frozen=True)
class Pruned:
    """A store or a leftover that pruning freed, or would free.

    Attributes:
        path: of it.
        bytes: on disk.
        kept: why it was left where it is, else None.
    """

    path: Path
    bytes: int
    kept: str | None = None


def stores(root: Path) -> list[StoreInfo]:
    """All stores under a root, by name; none where there is no such folder."""
    return [_info(folder) for folder in _folders(root)]


def verify(root: Path, names: Sequence[str] | None = None) -> list[StoreCheck]:
    """Compares all values of some stores (all if not given) with their checksums.

    Damaged files are deleted, where the folder can be written, to be made again.

    Raises:
        InputError: there is no store of that name.
    """
    return [_verdict(folder) for folder in _chosen(root, names)]


def prune(
    root: Path,
    unused_days: float | None = None,
    names: Sequence[str] | None = None,
    dry_run: bool = False,
) -> list[Pruned]:
    """Deletes stores, and what killed processes left; never a store that is being written.

    Args:
        root: the folder of stores.
        unused_days: delete those that nothing has written or trained on for so long.
        names: consider only these; without `unused_days` all of them are deleted.
        dry_run: only say what would be deleted.

    Raises:
        InputError: there is no store of that name.
    """
    done = []
    for folder in _chosen(root, names):
        idle_days = (time.time() - last_used(folder)) / _DAY_S
        whole = idle_days >= unused_days if unused_days is not None else bool(names)
        done += _pruned(folder, whole, dry_run)
    for folder in _half_deleted(root):
        done.append(Pruned(folder, _size(folder)))
        if not dry_run:
            shutil.rmtree(folder, ignore_errors=True)
    return done


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if _STORE.fullmatch(f.name) and f.is_dir())


def _half_deleted(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(f for f in root.iterdir() if _PRUNED.fullmatch(f.name))


def _chosen(root: Path, names: Sequence[str] | None) -> list[Path]:
    folders = _folders(root)
    if not names:
        return folders
    return list(dict.fromkeys(_named(name, root, folders) for name in names))


def _named(name: str, root: Path, folders: Sequence[Path]) -> Path:
    found = [folder for folder in folders if name and folder.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{name!r} fits {', '.join(f.name for f in found)}; give more digits")
    known = ", ".join(folder.name for folder in folders) or "no store at all"
    raise InputError(f"there is no feature store {name!r} in {root} ({known})")


def _info(folder: Path) -> StoreInfo:
    try:
        description, index = read_description(folder) or {}, Index(folder)
    except InputError as error:
        unreadable = (str(error),)
        return StoreInfo(
            folder.name, folder, {}, 0, 0, _size(folder), last_used(folder), unreadable
        )
    return StoreInfo(
        folder.name,
        folder,
        description,
        len(index.places),
        sum(place.length for place in index.places.values()),
        _size(folder),
        last_used(folder),
        tuple(f"{folder / name}: {why}" for name, why in index.damaged.items()),
    )


def _verdict(folder: Path) -> StoreCheck:
    damaged = []
    try:
        read_description(folder)
    except DamagedDescriptionError as error:
        (folder / STORE_FILE).unlink(missing_ok=True)
        damaged.append(str(error))
    except InputError as error:
        return StoreCheck(folder.name, 0, 0, (), str(error))
    try:
        index = Index(folder)
        damaged += index.check(everything=True)
    except InputError as error:
        return StoreCheck(folder.name, 0, 0, tuple(damaged), str(error))
    size = sum(shard.size for shard in index.shards.values())
    return StoreCheck(folder.name, len(index.shards), size, tuple(damaged))


def _pruned(folder: Path, whole: bool, dry_run: bool) -> list[Pruned]:
    """Deletes a store as a whole, or only the leftovers in it."""
    size = _size(folder)
    try:
        with claims_of(folder) as claims:
            alone = claims.alone()
            if not whole:
                return _without_leftovers(folder, claims, dry_run)
            if alone and not dry_run:
                _delete(folder)
    except ClaimedError:
        alone = False
    except OSError as error:
        return [Pruned(folder, size, f"it cannot be written: {error.strerror}")] if whole else []
    return [Pruned(folder, size, None if alone else "it is being written")] if whole else []


def _without_leftovers(folder: Path, claims: Claims, dry_run: bool) -> list[Pruned]:
    done = []
    for path, size in leftovers(folder, claims).items():
        done.append(Pruned(path, size))
        if not dry_run:
            path.unlink(missing_ok=True)
    return done


def _delete(folder: Path) -> None:
    """Gone at once for all to see: who waits to write finds no folder and makes it anew."""
    aside = folder.with_name(f".{folder.name}.pruned-{uuid.uuid4().hex[:8]}")
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
