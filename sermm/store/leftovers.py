"""Temporary files that killed writers left in a feature store."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from sermm.store.claims import Claims

_TEMPORARY = re.compile(r"\.(?:(?P<token>[0-9a-f]{16})-\d+\.safetensors|\w+\.json)\..*\.tmp")
_OLD_S = 86400.0


def leftovers(folder: Path, claims: Claims) -> dict[Path, int]:
    """Temporary files of dead writers, with their bytes.

    A shard's names its writer, whose lock tells whether it lives. Where nothing tells, what has not
    changed for a day is a leftover.
    """
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            # One that goes away meanwhile has become a shard.
            with suppress(FileNotFoundError):
                if match and _is_left(entry, match["token"], claims):
                    found[Path(entry.path)] = entry.stat().st_size
    return found


def remove_leftovers(folder: Path, claims: Claims) -> None:
    """Deletes what dead writers left."""
    for path in leftovers(folder, claims):
        path.unlink(missing_ok=True)


def _is_left(entry: os.DirEntry[str], token: str | None, claims: Claims) -> bool:
    if token is not None and claims.is_dead(token):
        return True
    age_s = time.time() - entry.stat().st_mtime
    return age_s > _OLD_S and (token is None or not claims.supported)
