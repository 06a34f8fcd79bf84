"""sermm features list | verify | prune: looks after the stored features of encoders.

  sermm features list                      what is stored, how large it is, when it was last used
  sermm features verify [STORE...]         read everything and compare it with its checksums; what
                                           is damaged is deleted, and the next extract makes it anew
  sermm features prune STORE...            delete these stores
  sermm features prune unused_days=30      delete those that nothing has written or trained on since
  sermm features prune                     delete only what killed processes left
  sermm features prune unused_days=30 dry_run=true

STORE is a name as in the list, or its first digits. A store that is being written is never deleted.
Exit status of verify: 1 if anything was damaged.

Keys: cache_dir (stores are in cache_dir/features; default: $SERMM_CACHE, or ~/.cache/sermm), format
(of list: table | json), unused_days and dry_run (true | false; of prune).
"""

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sermm.configuration.arguments import choice, flag, parse
from sermm.core.errors import InputError
from sermm.core.files import size_text

if TYPE_CHECKING:
    from sermm.store.upkeep import Pruned, StoreCheck, StoreInfo

_HEADER = ["store", "encoder", "level", "dtype", "weights", "layers"]
_FIRST_NUMBER = len(_HEADER)
_HEADER += ["utterances", "positions", "size", "last used"]
USAGE = "sermm features list|verify|prune [STORE...] [key=value ...]"
_KNOWN: dict[str, dict[str, str | None]] = {
    "list": {"cache_dir": None, "format": "table"},
    "verify": {"cache_dir": None},
    "prune": {"cache_dir": None, "unused_days": None, "dry_run": "false"},
}


def run(arguments: Sequence[str]) -> int:
    """Lists, verifies or prunes; returns the exit status.

    Raises:
        InputError: wrong use, or there is no such store.
    """
    task = choice(arguments[0] if arguments else None, f"{USAGE}: the task", list(_KNOWN))
    names, given = parse(arguments[1:], _KNOWN[task], USAGE)
    root = features_folder(given["cache_dir"])
    if task == "verify":
        return _verify(root, names)
    if task == "prune":
        return _prune(root, names, given["unused_days"], flag(given["dry_run"], "dry_run"))
    if names:
        raise InputError(f"list takes no store, got {names[0]}. Usage: {USAGE}")
    return _list(root, choice(given["format"], "format", ("table", "json")))


def features_folder(cache_dir: str | None) -> Path:
    """Where stores are: `features` in `cache_dir=`, or in the configuration's default."""
    from sermm.configuration import places

    return (Path(cache_dir) if cache_dir else places.cache_dir()) / "features"


def _list(root: Path, output: str) -> int:
    from sermm.store.upkeep import stores

    found = stores(root)
    free = _free_bytes(root)
    if output == "json":
        listing = {"root": str(root), "free_bytes": free, "stores": [_as_json(s) for s in found]}
        print(json.dumps(listing, indent=2, ensure_ascii=False))
        return 0
    if found:
        print(_table(found))
    total = sum(store.bytes for store in found)
    print(
        f"{len(found)} stores, {size_text(total)}, in {root}; {size_text(free)} free on that disk"
    )
    for what in (what for store in found for what in store.damaged):
        print(f"damaged: {what}")
    return 0


def _verify(root: Path, names: list[str]) -> int:
    from sermm.store.upkeep import verify

    verdicts = verify(root, names)
    for verdict in verdicts:
        print(_verdict_text(verdict))
    damaged = sum(len(verdict.damaged) for verdict in verdicts)
    if damaged:
        print(f"{damaged} damaged files; the next extract computes again what they held")
    elif not verdicts:
        print(f"no feature stores in {root}")
    return int(bool(damaged) or any(verdict.refused for verdict in verdicts))


def _prune(root: Path, names: list[str], unused_days: str | None, dry_run: bool) -> int:
    from sermm.store.upkeep import prune

    done = prune(root, _days(unused_days), names, dry_run)
    for one in done:
        print(_pruned_text(one, root, dry_run))
    freed = sum(one.bytes for one in done if one.kept is None)
    print(f"{'would free' if dry_run else 'freed'} {size_text(freed)} in {root}")
    return 0


def _days(value: str | None) -> float | None:
    try:
        days = None if value is None else float(value)
    except ValueError:
        days = -1.0
    if days is not None and not days >= 0:
        raise InputError(f"unused_days must be a number of days, got {value!r}")
    return days


def _verdict_text(verdict: "StoreCheck") -> str:
    if verdict.refused is not None:
        return f"{verdict.name}  not verified: {verdict.refused}"
    right = f"{verdict.shards} shards, {size_text(verdict.bytes)}"
    if not verdict.damaged:
        return f"{verdict.name}  {right}: all right"
    return "\n".join([f"{verdict.name}  {right} right; DAMAGED:", *verdict.damaged])


def _pruned_text(one: "Pruned", root: Path, dry_run: bool) -> str:
    name = one.path.relative_to(root)
    if one.kept is not None:
        return f"kept {name} ({size_text(one.bytes)}): {one.kept}"
    return f"{'would delete' if dry_run else 'deleted'} {name} ({size_text(one.bytes)})"


def _as_json(store: "StoreInfo") -> dict[str, Any]:
    return {
        "name": store.name,
        "description": store.description,
        "utterances": store.items,
        "positions": store.positions,
        "bytes": store.bytes,
        "last_used": datetime.fromtimestamp(store.last_used, UTC).isoformat(),
        "damaged": list(store.damaged),
    }


def _table(stores: Sequence["StoreInfo"]) -> str:
    """One line a store, never folded, so that it can be searched; numbers flush right."""
    rows = [_HEADER, *(_row(store) for store in stores)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column >= _FIRST_NUMBER else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(store: "StoreInfo") -> list[str]:
    description = store.description
    return [
        store.name,
        *(str(description.get(key, "-")) for key in ("encoder", "level", "dtype")),
        str(description.get("weights", "-"))[:8],
        _layers_text(description.get("layers", "-")),
        str(store.items),
        str(store.positions),
        size_text(store.bytes),
        _time_text(store.last_used),
    ]


def _layers_text(layers: Any) -> str:
    """0-12 for a run of layers; as it stands for anything else."""
    if not (isinstance(layers, list) and all(isinstance(layer, int) for layer in layers)):
        return str(layers)
    if len(layers) > 2 and layers == list(range(layers[0], layers[0] + len(layers))):
        return f"{layers[0]}-{layers[-1]}"
    return ",".join(map(str, layers))


def _time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "minutes")[:16]


def _free_bytes(root: Path) -> int:
    there = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free
