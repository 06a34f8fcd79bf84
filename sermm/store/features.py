"""The features of frozen encoders on disk, addressed by content, computed once.

One store is one folder, named by the digest of its description: all that determines the values.
Anything else in the description is another store. An item is one utterance: its key is a digest of
what goes into the encoder, its values are `[n layers d]`.

Items lie in shards (`sermm.store.shards`) that are written whole or not at all and never
changed; several processes fill a store together (`sermm.store.claims`).

Whether values are still those that were written is asked twice. Before a run all shards are
compared with their checksums that have changed, by size and time, since they were last found right;
that finds what was cut or written over. Bits that a disk or a memory turns change no time: so every
item is compared once more when a process first reads it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.store.index import Index, ItemRows, read_description, stamp_use, store_name
from sermm.store.shards import DTYPES, as_bytes, crc, mapped, new_values
from sermm.store.writer import SHARD_BYTES, SHARD_SECONDS, Writer, writing

__all__ = ["FeatureStore", "Writer"]


class FeatureStore:
    """The features of one description. Reading needs no right to write.

    It can be pickled: a data loader's worker maps the shards anew, when it reads.

    Attributes:
        description: what determines the values; JSON.
        dtype: of the values, by `description["dtype"]`.

    Raises:
        InputError: the dtype is not float32, float16 or bfloat16, the folder was written by a newer
            version, or `store.json` is damaged.
    """

    def __init__(self, root: Path, description: Mapping[str, Any]) -> None:
        self.description = dict(description)
        if self.description.get("dtype") not in DTYPES:
            raise InputError(
                f"features are stored as {' or '.join(DTYPES)}, got dtype "
                f"{self.description.get('dtype')!r}"
            )
        self.dtype = DTYPES[self.description["dtype"]]
        folder = root / store_name(self.description)
        found = read_description(folder)
        if found is not None and digest(found) != digest(self.description):
            raise InputError(f"{folder} is the store of another description: {found}")
        self._index = Index(folder)
        self._maps: dict[str, np.ndarray] = {}
        # What this process has read and found right.
        self._right: set[ItemRows] = set()

    @property
    def folder(self) -> Path:
        """Where the store lies; it may not exist yet."""
        return self._index.folder

    @property
    def name(self) -> str:
        """The 16 digits that name the store."""
        return self.folder.name

    @property
    def shape(self) -> tuple[int, int] | None:
        """Layers and d; None while the store is empty."""
        return self._index.shape

    def __contains__(self, key: object) -> bool:
        return key in self._index.places

    def __len__(self) -> int:
        return len(self._index.places)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}, "_right": set()}

    def refresh(self) -> None:
        """Sees what other processes have added or removed since."""
        self._index.refresh()
        for name in self._maps.keys() - self._index.shards.keys():
            del self._maps[name]

    def length(self, key: str) -> int:
        """The number of positions n of an item.

        Raises:
            InputError: the store does not have it.
        """
        self._require([key])
        return self._index.places[key].length

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of the keys that the store does not have, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self]

    def read(self, keys: Sequence[str]) -> Ragged:
        """The values `[n layers d]` of some items, copied once, out of the memory map.

        In memory each layer's values lie together: mixing the layers is several times quicker so.

        Raises:
            InputError: the store does not have one of them, or no longer has its file, or the
                values are not those that were written.
        """
        self._require(keys)
        places = [self._index.places[key] for key in keys]
        lengths = torch.tensor([place.length for place in places], dtype=torch.int64)
        layers, width = self.shape or (0, 0)
        total, row_bytes = int(lengths.sum()), width * self.dtype.itemsize
        values = new_values(layers, (total, width), self.dtype)
        by_layer, start = as_bytes(values).reshape(layers, total, row_bytes), 0
        for key, place in zip(keys, places, strict=True):
            rows = self._rows(key, place).reshape(place.length, layers, row_bytes)
            by_layer[:, start : start + place.length] = rows.transpose(1, 0, 2)
            start += place.length
        return Ragged(values.transpose(0, 1), lengths)

    def check(self) -> list[str]:
        """Verifies the checksums of all shards that have changed since they were last found right.

        Damaged ones are taken out of the store and deleted (where the folder can be written), so
        that their items are missing again. Also says that the store is in use.

        Returns:
            One message for each damaged shard: the file, how many utterances, what is wrong.
        """
        damaged = self._index.check(everything=False)
        stamp_use(self.folder)
        self._maps.clear()
        return damaged

    def writing(
        self, shard_bytes: int = SHARD_BYTES, shard_seconds: float = SHARD_SECONDS
    ) -> AbstractContextManager[Writer]:
        """A writer; leaving, also by an exception or Ctrl-C, writes what is buffered.

        Args:
            shard_bytes: a shard is written when it reaches this size; memory is twice that.
            shard_seconds: it is written earlier when its first utterance has waited for so long.

        Raises:
            InputError: on entering: the folder cannot be written, or this process has a writer on
                this store already.
            OSError: the disk is full.
        """
        return writing(self._index, self.description, self.dtype, shard_bytes, shard_seconds)

    def _rows(self, key: str, place: ItemRows) -> UInt8[np.ndarray, "n row_bytes"]:
        """An item in the memory map, compared with its checksum if it is read for the first time.

        Raises:
            InputError: its file has gone, or its values are damaged.
        """
        if place.shard not in self._maps:
            self._maps[place.shard] = mapped(self._index.shards[place.shard])
        rows = self._maps[place.shard][place.start : place.start + place.length]
        if place not in self._right:
            if crc(rows) != place.checksum:
                raise InputError(self._damaged(key, place))
            self._right.add(place)
        return rows

    def _damaged(self, key: str, place: ItemRows) -> str:
        """What is wrong, and the way out: the next `check` deletes the shard, if it can."""
        what = f"{self.folder / place.shard}: the features of {key} are damaged"
        if self._index.distrust(place.shard):
            return (
                f"{what}; give the same command again, and what this file held is computed anew "
                f"(sermm features verify {self.name} looks at all values of the store)"
            )
        return f"{what}, and the store cannot be written to replace them; use another cache_dir="

    def _require(self, keys: Sequence[str]) -> None:
        if absent := [key for key in keys if key not in self._index.places]:
            raise InputError(
                f"{self.folder} has no features of {absent[0]}"
                f"{f' and {len(absent) - 1} more' if absent[1:] else ''}; extract them first"
            )
