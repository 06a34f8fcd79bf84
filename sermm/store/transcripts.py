"""Texts by machine, kept by the digest of the audio in a folder for each recogniser.

`source.json` says what made them. Texts lie in pieces, JSON files that are written whole. A process
writes pieces of its own only, so that several can fill one store, and rewrites the last one after
every batch until it is full: what is done is never lost, and there are few files.
"""

import os
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
_TEXTS_A_PIECE = 1000


class TranscriptStore:
    """The texts of one recogniser; touches nothing on disk until written to.

    Attributes:
        folder: where it lies.
        identity: what made the texts; None while there are none.
        asked: the configuration of the recogniser, as it was first asked for.
        texts: by digest of the audio.
        damaged: pieces that cannot be read, with the reason; what they held is missing.
    """

    def __init__(self, folder: Path) -> None:
        """Reads what is there.

        Raises:
            InputError: it was written by a newer version, or `source.json` is damaged or missing.
        """
        self.folder = folder
        self.texts: dict[str, str] = {}
        self.damaged: dict[str, str] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self._mine: dict[str, str] = {}
        self._piece = _new_piece()
        self.identity: dict[str, Any] | None = None
        self.asked: dict[str, Any] = {}
        self.refresh()
        # After the texts: who writes does it the other way round.
        self._read_source()
        if self.texts and self.identity is None:
            raise InputError(
                f"{self.folder} has transcripts but no {SOURCE}, so nobody knows what made them; "
                "delete it, or choose another name (recogniser.name=...)"
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
        """Makes the store one of this recogniser, and deletes its damaged pieces.

        Raises:
            InputError: it is one of another recogniser.
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

    def add(self, texts: Mapping[str, str]) -> None:
        """Keeps more texts; they are on the disk when this returns."""
        if len(self._mine) >= _TEXTS_A_PIECE:
            self._mine, self._piece = {}, _new_piece()
        self._mine |= texts
        self.texts |= texts
        content = {"version": VERSION, "digest": digest(self._mine), "texts": self._mine}
        path = self.folder / self._piece
        write_json(path, content)
        self._stamps[path.name] = _stamp(path.stat())

    def refuse_other(self, identity: Mapping[str, Any]) -> None:
        """Compares what made the texts with what is asked for.

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
            f"{self.folder} holds transcripts of another recogniser ({differ}); choose another "
            f"name (recogniser.name=...), or delete that folder"
        )

    def _of(self, key: str) -> Any:
        return None if self.identity is None else self.identity.get(key)

    def _take(self, path: Path) -> None:
        try:
            content = read_json(path)
            _refuse_newer(path, content["version"])
            texts = {str(key): str(text) for key, text in content["texts"].items()}
            if digest(texts) != content["digest"]:
                raise ValueError("its texts are not those that were written")
        except FileNotFoundError:
            return
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.damaged[path.name] = f"{path}: damaged ({error})"
            return
        self.damaged.pop(path.name, None)
        self.texts |= texts

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
                f"{path}: damaged ({error}), so nobody knows what made these transcripts; delete "
                f"{self.folder}, or choose another name (recogniser.name=...)"
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
