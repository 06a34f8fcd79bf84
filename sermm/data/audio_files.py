"""Audio files decoded to their end, whatever their header says of it."""

import errno
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from jaxtyping import Float

from sermm.core.figures import fixed
from sermm.data.audio_errors import AudioError, Kind, truncated
from sermm.data.audio_headers import checked

# Times in label files are rounded, so a span may end this much after the file does.
ROUNDING_S: Final = 0.05
_BLOCK_S: Final = 30
# What libsndfile says of a length that it does not know, and what it was made to guess.
_NO_PROMISE: Final = 1 << 40
# Encoders of MP3 count their frames differently at both ends.
_SLACK: Final = {"MP3": 2 * 1152}
# Of such samples libsndfile counts the bytes that are there.
_OF_BYTES: Final = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
_WAYS_OUT: Final = {
    errno.EACCES: "check its permissions",
    errno.ENAMETOOLONG: "no file has such a long name; check the path",
}


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """Reads on until nothing comes.

    One that can be sought in would read no more than the header promises, and would be sought in
    after each read, which some formats do not survive.
    """

    def seekable(self) -> bool:
        """For `read`: no."""
        return False


class Decoder:
    """An open audio file.

    Args:
        file: of soundfile.
        path: of it, for messages.
        can_seek: libsndfile can go to a frame of it.

    Attributes:
        rate_hz: its sampling rate.
    """

    def __init__(self, file: soundfile.SoundFile, path: Path, can_seek: bool) -> None:
        self._file, self._path, self._can_seek = file, path, can_seek
        self.rate_hz: int = file.samplerate
        frames: int = file.frames
        self._promised = frames if frames < _NO_PROMISE else None

    def span(
        self, start_s: float | None = None, end_s: float | None = None, most_s: float | None = None
    ) -> Iterator[Float[np.ndarray, "n c"]]:
        """The samples of a span in blocks of 30 s; may be called once.

        Args:
            start_s: seconds from the file's start; None = the start.
            end_s: seconds from the file's start; None = the end.
            most_s: what lies further than this from the start of the span is not decoded.

        Raises:
            AudioError: the file has no samples, is cut short, or the span does not lie in it.
        """
        first = 0 if start_s is None else round(start_s * self.rate_hz)
        wanted = math.inf if end_s is None else round(end_s * self.rate_hz) - first
        if first < 0 or wanted <= 0:
            raise self._outside(start_s, end_s)
        most = min(wanted, math.inf if most_s is None else round(most_s * self.rate_hz))
        self._go_to(first, start_s, end_s)
        done = 0
        while done < most:
            block = self._read(self._next(first + done, most - done))
            if not len(block):
                self._check_end(first, done, start_s, end_s)
                return
            done += len(block)
            yield block

    def count(self) -> int:
        """The number of frames: all are decoded, unless each takes the same number of bytes."""
        of_bytes = self._file.format != "FLAC" and self._file.subtype.startswith(_OF_BYTES)
        if of_bytes and self._promised:
            return self._promised
        return sum(len(block) for block in self.span())

    def _go_to(self, frame: int, start_s: float | None, end_s: float | None) -> None:
        """Goes to a frame: by decoding all before where libsndfile cannot seek."""
        if not frame:
            return
        if self._promised is not None and frame >= self._promised:
            raise self._outside(start_s, end_s)
        if self._can_seek:
            try:
                self._file.seek(frame)
            except soundfile.LibsndfileError as error:
                raise truncated(self._path, f"damaged frames ({error.error_string})") from error
            return
        while frame and len(block := self._read(min(frame, _BLOCK_S * self.rate_hz))):
            frame -= len(block)

    def _next(self, at: int, most: int | float) -> int:
        """How many frames to ask for: of one that promised no more, whether there is one more."""
        left = math.inf if self._promised is None else max(1, self._promised - at)
        return int(min(_BLOCK_S * self.rate_hz, left, most))

    def _read(self, count: int) -> Float[np.ndarray, "n c"]:
        try:
            block: Float[np.ndarray, "n c"] = self._file.read(
                count, dtype="float32", always_2d=True
            )
        except soundfile.LibsndfileError as error:
            raise truncated(self._path, f"damaged frames ({error.error_string})") from error
        return block

    def _check_end(self, first: int, done: int, start_s: float | None, end_s: float | None) -> None:
        """What the end of the file, `done` frames behind the first of the span, says of both."""
        end = first + done
        promised = self._promised or 0
        if end and end < promised - _SLACK.get(self._file.format, 0):
            raise truncated(self._path, f"{end} of {promised} frames")
        if not end:
            raise AudioError(f"{self._path}: 0 samples; record it again or leave it out", "empty")
        if not done or (end_s is not None and end_s - end / self.rate_hz > ROUNDING_S):
            raise self._outside(start_s, end_s)

    def _outside(self, start_s: float | None, end_s: float | None) -> AudioError:
        with opened(self._path) as again:
            frames = again.count()
        until = "the end" if end_s is None else f"{end_s:g} s"
        return AudioError(
            f"{self._path}: the span from {start_s or 0:g} s to {until} does not lie in the file, "
            f"which lasts {fixed(frames / self.rate_hz, 3)} s; correct start_s and end_s",
            "span_outside",
        )


@contextmanager
def opened(path: Path) -> Iterator[Decoder]:
    """A file, open for decoding; its content decides the format, not its name.

    Raises:
        AudioError: it is not there, cannot be read, is no audio, or is cut short.
    """
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode):
            raise _no_file(path, mode)
        with path.open("rb") as raw:
            view = checked(raw, path)
            with _sound_file(str(path) if view is None else view, path) as file:
                yield Decoder(file, path, soundfile.SoundFile.seekable(file))
    except FileNotFoundError as error:
        message = (
            f"{path}: no such audio file; check its path (of a corpus: data.root or the column)"
        )
        raise AudioError(message, "missing_file") from error
    except OSError as error:
        way_out = _WAYS_OUT.get(error.errno or 0, "check the disk that it is on")
        raise _unreadable(path, error.strerror or str(error), way_out) from error


def _sound_file(file: Any, path: Path) -> soundfile.SoundFile:
    try:
        return _Forward(file)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path}: not an audio file that libsndfile can decode ({error.error_string}); "
            "convert it to WAV or FLAC"
        ) from error


def _no_file(path: Path, mode: int) -> AudioError:
    if stat.S_ISDIR(mode):
        return _unreadable(path, "it is a folder", f"give the files in it, such as {path}/*.wav")
    return _unreadable(path, "it is a pipe or a device", "write it into a file first")


def _unreadable(path: Path, why: str, way_out: str) -> AudioError:
    kind: Kind = "unreadable"
    return AudioError(f"{path}: the audio file cannot be read ({why}); {way_out}", kind)
