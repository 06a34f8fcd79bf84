"""What headers of audio files promise, held against the bytes that are there.

libsndfile believes a header where it should not: it reads what is left of a file that was cut as if
it were whole, takes a length of 0 for no samples, and stops where it guesses the end of an MP3
file. So the header is looked at before: `checked` refuses a file that holds fewer bytes than it
promises, and gives another view of a file whose header would make libsndfile lose sound.

Sources: the chunks of RIFF, RF64 (EBU Tech 3306) and AIFF, the header of Sun's AU, pages of Ogg
(RFC 3533), the header of NIST Sphere, the tags of ID3, APE and Xing (which LAME writes) in MP3.
"""

import io
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from sermm.data.audio_errors import AudioError, truncated

# Programs that write into a pipe promise about 2 or 4 GiB because they cannot know the size.
_UNKNOWN_SIZE: Final = 0x7FFF_F000
_ENDLESS: Final = 1 << 50
# The number of MP3 among the codecs of WAV.
_MP3: Final = b"\x55\0"
_LONGEST_PAGE: Final = 65_307
# Of MPEG audio; a tag of Xing lies in the first frame.
_LONGEST_FRAME: Final = 2881


class _Promise(NamedTuple):
    """What a header says of the samples.

    Attributes:
        place: where their length stands in the file.
        form: of this number.
        length: in bytes.
        start: where the samples start.
        mpeg: they are frames of MP3.
    """

    place: int
    form: str
    length: int
    start: int
    mpeg: bool = False


class View(io.RawIOBase):
    """A file as libsndfile shall see it: with other bytes in its header, or without an end.

    Args:
        raw: the file.
        size: of it, as it is to be seen.
        place: of the other bytes.
        patch: these bytes.
        held: bytes of the file that are to be read; None: all.
    """

    def __init__(
        self,
        raw: BinaryIO,
        size: int,
        place: int = 0,
        patch: bytes = b"",
        held: int | None = None,
    ) -> None:
        super().__init__()
        self._raw, self._size, self._place, self._patch = raw, size, place, patch
        self._at, self._held = 0, raw.seek(0, io.SEEK_END) if held is None else held

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a position; none lies before the start."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Reads what is there, with the other bytes in their place."""
        if self._at > self._held:
            # Who goes behind the end looks for tags there, and shall find none.
            buffer[:] = bytes(len(buffer))
            return len(buffer)
        self._raw.seek(self._at)
        n = self._raw.readinto(memoryview(buffer)[: self._held - self._at])  # type: ignore[attr-defined]
        for i, byte in enumerate(self._patch, self._place - self._at):
            if 0 <= i < n:
                buffer[i : i + 1] = bytes([byte])
        self._at += n
        return int(n)


def checked(raw: BinaryIO, path: Path) -> View | None:
    """Holds the header against the file.

    Args:
        raw: the file; its position is changed.
        path: of it, for messages.

    Returns:
        What to decode in place of the file; None: the file itself.

    Raises:
        AudioError: it is empty or cut short, or holds several recordings.
    """
    size = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    if size == 0:
        raise AudioError(f"{path}: an empty file (0 bytes); copy it again", "empty")
    start = raw.read(12)
    if start[:4] == b"OggS":
        _refuse_part_of_ogg(raw, path, size)
        return None
    if start[:3] == b"ID3" or _is_frame(start):
        return _of_mpeg(raw, size)
    find = _FORMS.get(start[:4])
    promise = find(raw) if find else None
    if promise is None:
        return None
    held = size - promise.start
    unknown = promise.form[-1] == "I" and held < promise.length >= _UNKNOWN_SIZE
    if unknown or (promise.length == 0 and not _only_chunks(raw, promise, size)):
        # The program that wrote it could not fill in the length, or was stopped before.
        most = 0xFFFF_FFFF if promise.form[-1] == "I" else held
        return View(raw, size, promise.place, struct.pack(promise.form, min(held, most)))
    if held < promise.length:
        raise truncated(path, f"{held} of {promise.length} bytes of samples")
    return View(raw, _ENDLESS, held=promise.start + promise.length) if promise.mpeg else None


def _chunks(raw: BinaryIO) -> _Promise | None:
    """The chunk of samples of RIFF, RIFX, RF64 and AIFF; in RF64 another chunk has its length."""
    raw.seek(0)
    kind = raw.read(12)[:4]
    order = "<" if kind in (b"RIFF", b"RF64") else ">"
    long: tuple[int, int] | None = None
    codec = b""
    while len(header := raw.read(8)) == 8:
        name, length = struct.unpack(f"{order}4sI", header)
        start = raw.tell()
        if name == b"ds64" and len(sizes := raw.read(16)) == 16:
            long = start + 8, struct.unpack("<8xQ", sizes)[0]
        if name == b"fmt ":
            codec = raw.read(2)
        if name in (b"data", b"SSND"):
            if long and length in (0, 0xFFFF_FFFF):
                return _Promise(long[0], "<Q", long[1], start)
            return _Promise(start - 4, f"{order}I", length, start, codec == _MP3)
        raw.seek(start + length + length % 2)
    return None


def _sun(raw: BinaryIO) -> _Promise | None:
    """The header of AU."""
    raw.seek(4)
    header = raw.read(8)
    if len(header) < 8:
        return None
    start, length = struct.unpack(">II", header)
    return _Promise(8, ">I", length, start)


def _nist(raw: BinaryIO) -> _Promise | None:
    """The header of Sphere: lines of text, as many bytes as its second line says."""
    raw.seek(0)
    text = raw.read(1024).decode("latin-1")
    counts = dict(re.findall(r"^(\w+_count|\w+_bytes) -\w+ (\d+)", text, re.MULTILINE))
    lengths = [
        int(counts.get(name, 0)) for name in ("sample_count", "channel_count", "sample_n_bytes")
    ]
    size = re.match(r"NIST_1A\s+(\d+)", text)
    # libsndfile does not read the count: where there is none, it decodes to the end.
    return _Promise(0, "<Q", math.prod(lengths), int(size[1])) if size and all(lengths) else None


_FORMS: Final[dict[bytes, Callable[[BinaryIO], _Promise | None]]] = {
    **dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"FORM"), _chunks),
    b".snd": _sun,
    b"NIST": _nist,
}


def _only_chunks(raw: BinaryIO, promise: _Promise, size: int) -> bool:
    """Whether nothing but further chunks follows, to the last byte: then there are no samples."""
    at = promise.start
    while at < size:
        raw.seek(at)
        header = raw.read(8)
        if len(header) < 8 or not (header[:4].isascii() and header[:4].decode().isprintable()):
            return False
        length = struct.unpack(promise.form[0] + "I", header[4:])[0]
        at += 8 + length + length % 2
        if at > size + 1:
            return False
    return True


def _is_frame(start: bytes) -> bool:
    """Whether a frame of MPEG audio begins here: with eleven bits that are set."""
    return start[:1] == b"\xff" and start[1:2] >= b"\xe0"


def _of_mpeg(raw: BinaryIO, size: int) -> View | None:
    """MP3 without an end, where the tag of Xing does not say how many frames there are.

    libsndfile guesses the end from the length of the first frame, and reads no further. A tag that
    tells of fewer bytes than there are is that of the first of several recordings.
    """
    first, end = _behind_tags(raw), _before_tags(raw, size)
    raw.seek(first)
    frame = raw.read(_LONGEST_FRAME)
    if not _is_frame(frame):
        return None
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    told = frame[place + 4 : place + 16] if place >= 0 else b""
    flags, frames, length = struct.unpack(">3I", told.ljust(12, b"\0"))
    if not (flags & 1 and frames):
        return View(raw, _ENDLESS, held=end)
    if flags & 2 and first + length < end - _LONGEST_FRAME:
        return View(raw, _ENDLESS, first + place, b"\0\0\0\0", end)
    return None


def _behind_tags(raw: BinaryIO) -> int:
    """Where the first frame begins: behind tags of ID3v2, whose length has bytes of seven bits."""
    at = 0
    while True:
        raw.seek(at)
        tag = raw.read(10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            return at
        at += 10 + sum(byte << 7 * (3 - i) for i, byte in enumerate(tag[6:]))


def _before_tags(raw: BinaryIO, size: int) -> int:
    """Where the frames end: before tags of APE and ID3v1."""
    raw.seek(max(0, size - 160))
    tail = raw.read()
    end = size - 128 if tail[-128:-125] == b"TAG" else size
    ape = tail[-160:-128] if end < size else tail[-32:]
    return end - struct.unpack("<I", ape[12:16])[0] if ape[:8] == b"APETAGEX" else end


def _refuse_part_of_ogg(raw: BinaryIO, path: Path, size: int) -> None:
    """Refuses a last page that is cut, and recordings laid end to end: the first alone is read."""
    raw.seek(0)
    # Streams that are woven into each other all begin before the first of them goes on.
    begun = {page[14:18] for page in raw.read(4096).split(b"OggS")[1:] for page in [b"OggS" + page]}
    raw.seek(max(0, size - _LONGEST_PAGE))
    tail = raw.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) < 27 or len(page) < 27 + page[26] + sum(lengths):
        raise truncated(path, "a part of its last page")
    if page[14:18] not in begun:
        raise AudioError(
            f"{path}: several recordings lie in it end to end, of which only the first can be "
            "read; convert it to WAV or FLAC"
        )
