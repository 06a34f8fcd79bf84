"""Small results of slow work, kept by the digest of what they were made of, in one folder a maker.

`source.json` says what made them. Items are JSON and lie in pieces, files that are written whole. A
process writes pieces of its own only, so that several can fill one store, and rewrites the last one
until it is full: what a killed process loses is what it had not written yet, and there are few
files. Who may make what is a matter of `sermm.store.claims` on the same folder.
"""

import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.files import read_json, write_json

VERSION = 1
SOURCE = "source.json"
_PIECE = "piece-*.json"
_ITEMS_A_PIECE = 1000


class ItemStore:
    """The items of one maker; touches nothing on disk until written to.

    Args:
        folder: where it lies.
        what: the items are, such as `texts`: their name in messages and in the files.
        way_out: what to do about a folder of unknown or other origin, for messages.
        every_s: what is added is on the disk so many seconds later, or after `flush`.

    Attributes:
        identity: what made the items; None while there are none.
        asked: the configuration of the maker, as it was first asked for.
        items: by digest.
        damaged: pieces that cannot be read, with the reason; what they held is missing.
    """

    def __init__(self, folder: Path, what: str, way_out: str, every_s: float = 0.0) -> None:
        """Reads what is there.

        Raises:
            InputError: it was written by a newer version, or `source.json` is damaged or missing.
        """
        self.folder, self.what = folder, what
        self._way_out, self._every_s = way_out, every_s
        self.items: dict[str, Any] = {}
        self.damaged: dict[str, str] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self._mine: dict[str, Any] = {}
        self._piece, self._written_s, self._unwritten = _new_piece(), time.monotonic(), False
        self.identity: dict[str, Any] | None = None
        self.asked: dict[str, Any] = {}
        self.refresh()
        # After the items: who writes does it the other way round.
        self._read_source()
        if self.items and self.identity is None:
            raise InputError(
                f"{self.folder} has {what} but no {SOURCE}, so nobody knows what made them; "
                f"{way_out}"
            )

    def refresh(self) -> None:
        """Sees what other processes have added since."""
        for path in sorted(self.folder.glob(_PIECE)):
            try:
                stamp = _stamp(path.stat())
            except FileNotFoundError:
                continue
            if self._stamps.get(path.name) != stamp:
                self._stamps[path.name] = stamp
                self._take(path)

    def begin(self, identity: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        """Makes the store one of this maker, and deletes its damaged pieces.

        Raises:
            InputError: it is one of another maker.
        """
        self._read_source()
        if self.identity is None:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            content = {"identity": dict(identity), "asked": dict(asked)}
            write_json(self.folder / SOURCE, {"version": VERSION, "created": now, **content})
            # Another process may have written it at the same time: the last one counts.
            self._read_source()
        self.refuse_other(identity)
        for name in self.damaged:
            (self.folder / name).unlink(missing_ok=True)
        self.damaged = {}

    def add(self, items: Mapping[str, Any]) -> None:
        """Keeps more items; `begin` comes first."""
        if len(self._mine) >= _ITEMS_A_PIECE:
            self.flush()
            self._mine, self._piece = {}, _new_piece()
        self._mine |= items
        self.items |= items
        self._unwritten = True
        if time.monotonic() - self._written_s >= self._every_s:
            self.flush()

    def flush(self) -> None:
        """Puts on the disk what is not there yet."""
        if self._unwritten:
            content = {"version": VERSION, "digest": digest(self._mine), self.what: self._mine}
            path = self.folder / self._piece
            write_json(path, content)
            self._stamps[path.name] = _stamp(path.stat())
        self._written_s, self._unwritten = time.monotonic(), False

    def refuse_other(self, identity: Mapping[str, Any]) -> None:
        """Compares what made the items with what is asked for.

        Raises:
            InputError: they differ.
        """
        if self.identity is None or self.identity == identity:
            return
        keys = sorted(
            k for k in self.identity.keys() | identity.keys() if self._of(k) != identity.get(k)
        )
        differ = "; ".join(f"{k} {self._of(k)} there, {identity.get(k)} asked for" for k in keys)
        raise InputError(
            f"{self.folder} holds {self.what} that were made otherwise ({differ}); {self._way_out}"
        )

    def _of(self, key: str) -> Any:
        return None if self.identity is None else self.identity.get(key)

    def _take(self, path: Path) -> None:
        try:
            content = read_json(path)
            _refuse_newer(path, content["version"])
            items = dict(content[self.what])
            if digest(items) != content["digest"]:
                raise ValueError(f"its {self.what} are not those that were written")
        except FileNotFoundError:
            return
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.damaged[path.name] = f"{path}: damaged ({error})"
            return
        self.damaged.pop(path.name, None)
        self.items |= items

    def _read_source(self) -> None:
        path = self.folder / SOURCE
        try:
            content = read_json(path)
            _refuse_newer(path, content["version"])
            self.identity, self.asked = dict(content["identity"]), dict(content["asked"])
        except FileNotFoundError:
            return
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: damaged ({error}), so nobody knows what made the {self.what} of "
                f"{self.folder}; {self._way_out}"
            ) from error


def _new_piece() -> str:
    return _PIECE.replace("*", f"{os.getpid()}-{uuid.uuid4().hex[:12]}")


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _refuse_newer(path: Path, found: int) -> None:
    if found > VERSION:
        raise InputError(
            f"{path}: written by a newer sermm (format {found}, this one knows {VERSION}); upgrade "
            "sermm, or use another cache_dir"
        )
