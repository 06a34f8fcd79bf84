"""What lies in the folder of one feature store: its description, its shards, where each item is.

store.json               the description that the folder is named by, and the format version
<writer>-<number>.safetensors    the shards
verified.json            size and time of change of the shards whose values were found right
claims.lock              see `sermm.store.claims`
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.files import read_json, write_json
from sermm.store.shards import (
    FORMAT,
    SUFFIX,
    DamagedError,
    Shard,
    find_damage,
    read_shard,
    refuse_newer,
)

STORE_FILE = "store.json"
_VERIFIED_FILE = "verified.json"
_NAME_DIGITS = 16

Stamp = tuple[int, int]


class DamagedDescriptionError(InputError):
    """`store.json` does not hold the description that its folder is named by."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is damaged: it does not hold the description that its folder is named by; "
            "delete this one file (`sermm features verify` does): it is written again when needed"
        )


class ItemRows(NamedTuple):
    """Where an item is: file name of its shard, first row, number of rows; CRC-32 of its values."""

    shard: str
    start: int
    length: int
    checksum: int


def store_name(description: Mapping[str, Any]) -> str:
    """The folder name of the store with this description."""
    return digest(dict(description))[:_NAME_DIGITS]


def read_description(folder: Path) -> dict[str, Any] | None:
    """The description in `store.json`; None where there is none.

    Raises:
        DamagedDescriptionError: it is damaged.
        InputError: a newer version wrote it.
    """
    path = folder / STORE_FILE
    try:
        found = read_json(path)
        version, description = int(found["format"]), dict(found["description"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedDescriptionError(path) from error
    refuse_newer(path, version)
    if store_name(description) != folder.name:
        raise DamagedDescriptionError(path)
    return description


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Writes `store.json`."""
    write_json(folder / STORE_FILE, {"format": FORMAT, "description": dict(description)})


def last_used(folder: Path) -> float:
    """When the store was last written or trained on, in seconds since 1970."""
    try:
        return (folder / STORE_FILE).stat().st_mtime
    except FileNotFoundError:
        return folder.stat().st_mtime


def stamp_use(folder: Path) -> None:
    """Says that the store is in use now, where the folder can be written."""
    with suppress(OSError):
        os.utime(folder / STORE_FILE)


class Index:
    """The shards of one folder and their items, all in memory.

    Attributes:
        folder: of the store; need not exist.
        shards: the usable ones by file name.
        places: of every item by key.
        damaged: file name of what cannot be used -> what is wrong with it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards: dict[str, Shard] = {}
        self.places: dict[str, ItemRows] = {}
        self.damaged: dict[str, str] = {}
        self.refresh()

    @property
    def shape(self) -> tuple[int, int] | None:
        """Layers and d, the same in all shards; None if there are none."""
        return next((shard.shape for shard in self.shards.values()), None)

    def refresh(self) -> None:
        """Follows the folder: headers are read of new shards only.

        Raises:
            InputError: a shard was written by a newer version, or does not belong here.
        """
        names = _shard_names(self.folder)
        self.damaged = {name: why for name, why in self.damaged.items() if name in names}
        if gone := self.shards.keys() - names:
            self._forget(gone)
        for name in sorted(names - self.shards.keys() - self.damaged.keys()):
            # One that goes away meanwhile was pruned or found damaged by another process.
            with suppress(FileNotFoundError):
                try:
                    self._take(read_shard(self.folder / name))
                except DamagedError as error:
                    self.damaged[name] = str(error)

    def check(self, *, everything: bool) -> list[str]:
        """Compares values with their checksums; what is damaged is taken out and deleted.

        Args:
            everything: also the shards that have not changed since they were last found right.

        Returns:
            One message for each damaged shard.
        """
        self.refresh()
        known = {} if everything else self._verified()
        right: dict[str, Stamp] = {}
        for name, shard in self.shards.items():
            # A shard that has gone meanwhile is found missing by the next refresh.
            with suppress(FileNotFoundError):
                right[name] = stamp = stamp_of(shard.path)
                if known.get(name) == stamp:
                    continue
                if damage := self._damage(shard, stamp):
                    self.damaged[name] = damage
                    del right[name]
        self._forget(self.damaged.keys() & self.shards.keys())
        if right != known:
            self.remember(right)
        return [self._removed(name) for name in list(self.damaged)]

    def remember(self, right: Mapping[str, Stamp]) -> None:
        """Keeps the stamps of shards whose values are right, where the folder can be written."""
        if not right:
            return
        there = _shard_names(self.folder)
        stamps = {name: s for name, s in {**self._verified(), **right}.items() if name in there}
        with suppress(OSError):
            write_json(self.folder / _VERIFIED_FILE, stamps)

    def distrust(self, name: str) -> bool:
        """Forgets that a shard was found right, so that the next check looks at its values.

        Returns:
            False where the folder cannot be written.
        """
        stamps = self._verified()
        stamps.pop(name, None)
        try:
            write_json(self.folder / _VERIFIED_FILE, stamps)
        except OSError:
            return False
        return True

    def _damage(self, shard: Shard, stamp: Stamp) -> str | None:
        if stamp[0] == shard.size:
            return find_damage(shard)
        return (
            f"it is {stamp[0]} bytes long, not {shard.size}; it held {len(shard.keys)} utterances"
        )

    def _take(self, shard: Shard) -> None:
        name, start = shard.path.name, 0
        if self.shape not in {None, shard.shape}:
            raise InputError(
                f"{shard.path} holds [n, {shard.shape[0]}, {shard.shape[1]}], other shards of this "
                f"store {self.shape}; delete the wrong ones"
            )
        self.shards[name] = shard
        items = zip(shard.keys, shard.lengths, shard.checksums, strict=True)
        for key, length, checksum in items:
            self.places[key] = ItemRows(name, start, length, checksum)
            start += length

    def _forget(self, names: Iterable[str]) -> None:
        for name in set(names):
            del self.shards[name]
        shards, self.shards, self.places = self.shards, {}, {}
        for shard in shards.values():
            self._take(shard)

    def _removed(self, name: str) -> str:
        path, why = self.folder / name, self.damaged[name]
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            return f"{path}: {why}; left out, as it cannot be deleted ({error.strerror})"
        del self.damaged[name]
        return f"{path}: {why}; deleted"

    def _verified(self) -> dict[str, Stamp]:
        try:
            found = read_json(self.folder / _VERIFIED_FILE)
            return {str(name): (int(size), int(changed)) for name, (size, changed) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def stamp_of(path: Path) -> Stamp:
    """Size and time of change in nanoseconds, which tell whether a file is still the same."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _shard_names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            names = {entry.name for entry in entries}
    except FileNotFoundError:
        return set()
    except NotADirectoryError as error:
        raise InputError(
            f"{folder} should be the folder of a feature store, but a file is in the way; move it, "
            "or use another cache_dir="
        ) from error
    return {name for name in names if name.endswith(SUFFIX) and not name.startswith(".")}
