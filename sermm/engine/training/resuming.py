"""Whether an interrupted run can go on, and after which epoch.

A run keeps the state after its last whole epoch (`last.ckpt`), the one before it (`before.ckpt`),
and the chosen weights (`best.ckpt`). If the first is damaged, the run goes on from the second, and
comes to the same result; without both, or without the chosen weights, it starts anew.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from sermm.core.errors import InputError
from sermm.engine.assembly.checkpoints import read_checkpoint
from sermm.runs.folder import RunFolder

# What Lightning needs to go on.
_PARTS = {"state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks"}


def resumable(folder: RunFolder, chosen: Sequence[Path]) -> bool:
    """Whether a run can go on from `last.ckpt`, which the one before it has replaced if need be.

    Says to stderr what is damaged. Called by the first process of a run, before the others look.

    Args:
        folder: of the run, of which nothing need be there.
        chosen: the files of chosen weights that it must have.
    """
    there = [path for path in (folder.last, folder.before) if path.exists()]
    if not there or not folder.assets.is_dir():
        return False
    try:
        for path in chosen:
            read_checkpoint(path)
    except InputError as error:
        print(f"  {error}; the run starts anew", file=sys.stderr)
        return False
    for path in there:
        try:
            if absent := _PARTS - set(read_checkpoint(path)):
                raise InputError(f"{path} is damaged (it has no {', '.join(sorted(absent))})")
        except InputError as error:
            way = "goes on from the epoch before" if path != there[-1] else "starts anew"
            print(f"  {error}; the run {way}", file=sys.stderr)
            continue
        if path != folder.last:
            path.replace(folder.last)
        return True
    return False
