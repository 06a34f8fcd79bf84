"""Writes features into a store while other processes do the same."""

import errno
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sermm.core.errors import InputError
from sermm.store.claims import Claims, claims_of
from sermm.store.index import (
    Index,
    Stamp,
    read_description,
    stamp_of,
    stamp_use,
    write_description,
)
from sermm.store.leftovers import remove_leftovers
from sermm.store.shards import SUFFIX, checksum, new_values, write_shard

SHARD_BYTES = 64 << 20
SHARD_SECONDS = 30.0
_NO_PLACE = {errno.ENOSPC, errno.EDQUOT}
_FLOAT16_MAX = 65504.0


class Writer:
    """Claims keys and adds their features; from `FeatureStore.writing`.

    Features are copied into one of two buffers; a thread writes the full one to the disk while the
    other is filled. For use by one thread.

    Raises:
        OSError: of `claim`, `add` and on leaving: a shard could not be written. Its utterances are
            lost and their claims given back on leaving; earlier shards stay.
    """

    def __init__(
        self,
        index: Index,
        claims: Claims,
        dtype: torch.dtype,
        shard_bytes: int = SHARD_BYTES,
        shard_seconds: float = SHARD_SECONDS,
    ) -> None:
        self._index, self._claims, self._dtype = index, claims, dtype
        self._shard_bytes, self._shard_seconds = shard_bytes, shard_seconds
        self._filling: _Buffer | None = None
        self._spare: _Buffer | None = None
        self._writing: tuple[Future[None], _Buffer, Path] | None = None
        self._held: set[str] = set()
        self._written: dict[str, Stamp] = {}
        self._n_shards = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feature-shards")

    def claim(self, keys: Sequence[str]) -> list[str]:
        """Claims what is to be computed.

        Returns:
            The keys, each once, that are neither stored nor claimed by another live process: they
            are this process's until they are stored, or until it leaves or dies.
        """
        self._write_if_old()
        self._index.refresh()
        asked = [key for key in dict.fromkeys(keys) if not self._has(key)]
        taken = [key for key in asked if self._claims.take(key)]
        # Who had a claim until just now may have stored the key.
        self._index.refresh()
        stored = {key for key in taken if key in self._index.places}
        self._claims.release(stored)
        return [key for key in taken if key not in stored]

    def add(self, items: Sequence[tuple[str, Tensor]]) -> None:
        """Adds utterances; what is stored or buffered already is passed over.

        Args:
            items: keys with values `[n layers d]` of any float dtype, on any device; cast to the
                store's dtype.

        Raises:
            InputError: a key with white space, values of another shape, or too large for float16.
        """
        for key, values in items:
            if not self._has(key):
                self._put(key, values)
        self._write_if_old()

    def flush(self) -> None:
        """Writes what is buffered and returns when it is on disk, for others to see.

        For a process that has nothing to compute and waits for others: they may wait for it.
        """
        self._hand_over()
        self._settle()

    def close(self) -> None:
        """Writes what is buffered, and ends."""
        try:
            self.flush()
        finally:
            self._thread.shutdown()
            self._index.remember(self._written)

    def _has(self, key: str) -> bool:
        return key in self._held or key in self._index.places

    def _put(self, key: str, values: Tensor) -> None:
        self._refuse(key, values)
        if self._filling is not None and len(values) > self._filling.room:
            self._hand_over()
        if self._filling is None or len(values) > self._filling.room:
            self._filling = self._buffer(values)
        self._filling.put(key, values)
        self._held.add(key)
        if not self._filling.room:
            self._hand_over()

    def _refuse(self, key: str, values: Tensor) -> None:
        if key.split() != [key]:
            raise InputError(f"feature key {key!r}: it must be one word without white space")
        shape = self._shape() or tuple(values.shape[1:])
        if values.ndim != 3 or tuple(values.shape[1:]) != shape or 0 in shape:
            layers, width = shape if len(shape) == 2 else ("layers", "d")
            raise InputError(
                f"features of {key}: got {list(values.shape)}, expected [n, {layers}, {width}] in "
                f"{self._index.folder}; another number of layers or dimensions needs another "
                "description"
            )
        if self._dtype == torch.float16 != values.dtype and values.numel():
            low, high = torch.aminmax(values.detach())
            if float(torch.maximum(-low, high)) > _FLOAT16_MAX:
                raise InputError(
                    f"features of {key} reach {float(torch.maximum(-low, high)):.3g}, more than "
                    f"float16 can hold ({_FLOAT16_MAX:g}); store bfloat16 or float32"
                )

    def _shape(self) -> tuple[int, ...] | None:
        buffers = (self._filling, self._spare, self._writing and self._writing[1])
        known = [tuple(buffer.values.shape[1:]) for buffer in buffers if buffer is not None]
        return known[0] if known else self._index.shape

    def _buffer(self, values: Tensor) -> "_Buffer":
        """An empty buffer with room for at least these values."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.room >= len(values):
            return spare
        _, layers, width = values.shape
        rows = self._shard_bytes // (layers * width * self._dtype.itemsize)
        return _Buffer(new_values(max(rows, len(values), 1), (layers, width), self._dtype))

    def _write_if_old(self) -> None:
        if self._filling is not None and self._filling.age_s >= self._shard_seconds:
            self._hand_over()

    def _hand_over(self) -> None:
        """Hands the buffer to the thread, once the one before is on disk."""
        self._settle()
        buffer = self._filling
        if buffer is None or not buffer.keys:
            return
        self._n_shards += 1
        path = self._index.folder / f"{self._claims.token}-{self._n_shards:05d}{SUFFIX}"
        future = self._thread.submit(
            write_shard, path, buffer.keys, buffer.lengths, buffer.checksums, buffer.filled
        )
        self._writing, self._filling = (future, buffer, path), None

    def _settle(self) -> None:
        """Waits for the shard that is being written; its claims are given back once it is."""
        if self._writing is None:
            return
        future, buffer, path = self._writing
        wait([future])
        self._writing = None
        self._held -= set(buffer.keys)
        future.result()
        self._written[path.name] = stamp_of(path)
        self._index.refresh()
        self._claims.release(buffer.keys)
        buffer.clear()
        self._spare = buffer


class _Buffer:
    """Room for one shard.

    Attributes:
        values: `[rows layers d]`, of which the first `used` are filled.
        keys: of the utterances in it; `lengths` and `checksums` are theirs.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self.clear()

    def clear(self) -> None:
        """Empties it."""
        self.keys: list[str] = []
        self.lengths: list[int] = []
        self.checksums: list[int] = []
        self.used = 0
        self._since = 0.0

    @property
    def room(self) -> int:
        """Rows that are free."""
        return len(self.values) - self.used

    @property
    def filled(self) -> Tensor:
        """The rows that are used."""
        return self.values[: self.used]

    @property
    def age_s(self) -> float:
        """Seconds since its first utterance; 0 while empty."""
        return time.monotonic() - self._since if self.keys else 0.0

    def put(self, key: str, values: Tensor) -> None:
        """Copies an utterance in."""
        self._since = self._since if self.keys else time.monotonic()
        place = self.values[self.used : self.used + len(values)]
        # The buffer is used again, perhaps outside of the inference mode that it was made in.
        with torch.inference_mode():
            place.copy_(values)
        self.keys.append(key)
        self.lengths.append(len(values))
        self.checksums.append(checksum(place))
        self.used += len(values)


@contextmanager
def writing(
    index: Index,
    description: Mapping[str, Any],
    dtype: torch.dtype,
    shard_bytes: int,
    shard_seconds: float,
) -> Iterator[Writer]:
    """A writer for a store; see `FeatureStore.writing`."""
    with claims_of(index.folder) as claims:
        _enter(index.folder, description, claims)
        writer = Writer(index, claims, dtype, shard_bytes, shard_seconds)
        try:
            yield writer
        finally:
            writer.close()
            stamp_use(index.folder)


def _enter(folder: Path, description: Mapping[str, Any], claims: Claims) -> None:
    try:
        claims.join()
        if read_description(folder) is None:
            write_description(folder, description)
    except OSError as error:
        if error.errno in _NO_PLACE:
            raise
        raise InputError(
            f"cannot write the feature store {folder}: {error.strerror}; choose another place with "
            "cache_dir= or SERMM_CACHE"
        ) from error
    remove_leftovers(folder, claims)
