"""Stable digests: the same value gives the same hexadecimal string on every machine."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """SHA-256 of `value` written as canonical JSON (sorted keys, no spaces, UTF-8).

    Raises:
        TypeError: `value` holds something that JSON cannot write.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_ids(*lists: Iterable[str]) -> str:
    """SHA-256 over lists of ids, each sorted as strings (a fold: train, val, test)."""
    return digest([sorted(ids) for ids in lists])


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
