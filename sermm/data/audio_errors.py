"""The error for audio that cannot be used."""

from pathlib import Path
from typing import Literal

from sermm.core.errors import InputError

Kind = Literal[
    "missing_file",
    "unreadable",
    "not_audio",
    "truncated",
    "empty",
    "not_finite",
    "span_outside",
    "out_of_range",
]


class AudioError(InputError):
    """A file, or a span of it, that cannot be used; `kind` says why in one word."""

    # A message alone must do: DataLoader workers hand an error over as its type and its message.
    def __init__(self, message: str, kind: Kind = "not_audio") -> None:
        super().__init__(message)
        self.kind: Kind = kind


def truncated(path: Path, what: str) -> AudioError:
    """The error for a file that ends before it should.

    Args:
        path: the file.
        what: it holds.
    """
    return AudioError(f"{path}: the file is cut short, it holds {what}; copy it again", "truncated")
