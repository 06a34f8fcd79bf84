"""One file of the feature store: the features of many utterances, laid end to end.

A shard is a safetensors file with one tensor, `values` `[rows layers d]`, and its index in the
metadata. Why safetensors: it is a published format with maintained readers, it can be mapped into
memory as it lies, nothing in it is executed, and the header is read without the data.

    8 bytes    length of the header
    header     JSON: __metadata__ {crc32, format, store, keys, lengths, values_crc32}, values {...}
    values     little-endian numbers, at an offset that is a multiple of 64

`crc32` seals the whole header (counted with eight zeros in its own place) and `values_crc32` each
utterance's values, so that no bit of the file is without a check. CRC-32 tells damage, not malice.
`store` is the name of the folder that the shard belongs to. Every later version keeps the header's
first words, `crc32` and `format`, so that a file of a newer version is not taken for a damaged one.
"""

import errno
import json
import mmap
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from sermm.core.errors import InputError
from sermm.core.files import whole_file

FORMAT = 1
SUFFIX = ".safetensors"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
_INTEGERS = {4: torch.int32, 2: torch.int16}
_FIRST = b'{"__metadata__":{"crc32":"'
_SEAL = slice(len(_FIRST), len(_FIRST) + 8)
_ALIGNMENT = 64
_CHUNK = 4 << 20


class DamagedError(ValueError):
    """A shard is not what was written; the message says what is wrong and how much is lost."""


@dataclass(frozen=True)
class Shard:
    """What the header of a shard says.

    Attributes:
        path: the file.
        keys: of its utterances, in the order of their values.
        lengths: positions of each.
        checksums: CRC-32 of each one's values.
        dtype: of the values.
        shape: layers and d.
        start: where the values begin, in bytes.
    """

    path: Path
    keys: tuple[str, ...]
    lengths: tuple[int, ...]
    checksums: tuple[int, ...]
    dtype: torch.dtype
    shape: tuple[int, int]
    start: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one position."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.start + sum(self.lengths) * self.row_bytes


def checksum(values: Shaped[Tensor, "n layers d"]) -> int:
    """CRC-32 of contiguous values on the CPU, as they will lie on disk."""
    return crc(as_bytes(values))


def crc(rows: UInt8[np.ndarray, "n row_bytes"]) -> int:
    """CRC-32 of contiguous bytes, as they lie on disk: an item's `checksum`."""
    return zlib.crc32(rows.reshape(-1).data)


def write_shard(
    path: Path,
    keys: Sequence[str],
    lengths: Sequence[int],
    checksums: Sequence[int],
    values: Shaped[Tensor, "rows layers d"],
) -> None:
    """Writes a shard, whole or not at all, down to the disk.

    Args:
        path: to be written; must not exist.
        keys: without white space.
        lengths: positions of each utterance, summing to rows.
        checksums: of each utterance's values.
        values: contiguous, on the CPU.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    header = _header(path.parent.name, keys, lengths, checksums, values)
    try:
        with whole_file(path) as temporary, temporary.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.write(_bytes(values))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_shard(path: Path) -> Shard:
    """Reads the header of a shard and checks it, and the file's size against it.

    Raises:
        DamagedError: header or size are not what was written.
        InputError: the shard was written by a newer version, or belongs to another store.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        raw = file.read(length) if length <= size else b""
    if len(raw) < length or raw != _sealed(raw):
        raise DamagedError("its header is damaged, so that its utterances are not known")
    header = json.loads(raw)
    refuse_newer(path, int(header["__metadata__"]["format"]))
    if header["__metadata__"]["store"] != path.parent.name:
        raise InputError(
            f"{path} belongs to the store {header['__metadata__']['store']}; move it back or "
            "delete it"
        )
    shard = _parsed(path, header, 8 + length)
    if size != shard.size:
        raise DamagedError(
            f"it is {size} bytes long, not {shard.size}; it held {len(shard.keys)} utterances"
        )
    return shard


def find_damage(shard: Shard) -> str | None:
    """Reads all values and compares them with their checksums.

    Returns:
        What is wrong, None if nothing is.

    Raises:
        OSError: the file cannot be read, for a reason that is not the disk's (`EIO`).
    """
    try:
        with shard.path.open("rb") as file:
            file.seek(shard.start)
            found = list(_checksums(file, shard))
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return f"the disk cannot read it; it held {len(shard.keys)} utterances"
    wrong = sum(a != b for a, b in zip(found, shard.checksums, strict=True))
    if not wrong:
        return None
    return f"the values of {wrong} of its {len(shard.keys)} utterances are damaged"


def mapped(shard: Shard) -> UInt8[np.ndarray, "rows row_bytes"]:
    """The rows of a shard as bytes in the memory map; the map lives as long as the array.

    Raises:
        InputError: the file has gone or has changed since its header was read.
    """
    try:
        with shard.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != shard.size:
                raise FileNotFoundError
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise InputError(
            f"{shard.path} has been removed or cut short since this process opened the store; "
            "give the same command again: what is missing is computed anew"
        ) from error
    flat = np.frombuffer(whole, np.uint8, offset=shard.start)
    return flat.reshape(sum(shard.lengths), shard.row_bytes)


def refuse_newer(path: Path, found: int) -> None:
    """Refuses what a newer version has written.

    Raises:
        InputError: `found` is above the format that this version knows.
    """
    if found > FORMAT:
        raise InputError(
            f"{path} was written by a newer sermm (feature format {found}; this one reads up to "
            f"{FORMAT}); upgrade sermm, or use another cache_dir="
        )


def new_values(
    rows: int, shape: tuple[int, int], dtype: torch.dtype
) -> Shaped[Tensor, "n layers d"]:
    """Uninitialised values `[rows layers d]` on the CPU.

    Allocated by numpy, which asks for huge pages: filling them is several times quicker than
    filling what torch allocates.
    """
    numbers = np.empty((rows, *shape), f"i{dtype.itemsize}")
    return torch.from_numpy(numbers).view(dtype)


def as_bytes(values: Shaped[Tensor, "n layers d"]) -> UInt8[np.ndarray, "n row_bytes"]:
    """Contiguous values on the CPU as rows of bytes, sharing their memory."""
    n, layers, width = values.shape
    numbers = values.view(_INTEGERS[values.dtype.itemsize]).numpy()
    return numbers.reshape(n, layers * width).view(np.uint8)


def _bytes(values: Tensor) -> memoryview:
    return as_bytes(values).reshape(-1).data


def _header(
    store: str,
    keys: Sequence[str],
    lengths: Sequence[int],
    checksums: Sequence[int],
    values: Tensor,
) -> bytes:
    metadata = {
        "crc32": "0" * 8,
        "format": str(FORMAT),
        "store": store,
        "keys": " ".join(keys),
        "lengths": " ".join(map(str, lengths)),
        "values_crc32": " ".join(f"{one:08x}" for one in checksums),
    }
    size = values.numel() * values.element_size()
    tensor = {
        "dtype": _NAMES[values.dtype],
        "shape": list(values.shape),
        "data_offsets": [0, size],
    }
    raw = json.dumps({"__metadata__": metadata, "values": tensor}, separators=(",", ":")).encode()
    return _sealed(raw + b" " * (-(8 + len(raw)) % _ALIGNMENT))


def _sealed(raw: bytes) -> bytes:
    """The header with the checksum that it should have."""
    crc = zlib.crc32(memoryview(raw)[_SEAL.stop :], zlib.crc32(_FIRST + b"0" * 8))
    return _FIRST + f"{crc:08x}".encode() + raw[_SEAL.stop :]


def _parsed(path: Path, header: dict[str, Any], start: int) -> Shard:
    metadata, tensor = header["__metadata__"], header["values"]
    dtypes = {name: dtype for dtype, name in _NAMES.items()}
    _, layers, width = tensor["shape"]
    return Shard(
        path,
        tuple(metadata["keys"].split()),
        tuple(map(int, metadata["lengths"].split())),
        tuple(int(one, 16) for one in metadata["values_crc32"].split()),
        dtypes[tensor["dtype"]],
        (layers, width),
        start,
    )


def _checksums(file: BinaryIO, shard: Shard) -> Iterator[int]:
    chunk = memoryview(bytearray(_CHUNK))
    for length in shard.lengths:
        left, crc = length * shard.row_bytes, 0
        while left and (got := file.readinto(chunk[:left])):  # type: ignore[attr-defined]
            crc = zlib.crc32(chunk[:got], crc)
            left -= got
        yield crc if not left else -1
