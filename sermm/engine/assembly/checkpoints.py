"""Reads what torch has written into a run folder, and says in one line what is wrong with it.

Files are written under another name and renamed, so one that is damaged has been damaged by a disk
or a copy. torch checks no checksums; its files are zip archives, which have one for each member.
"""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from sermm.core.errors import InputError, first_line


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint or a file of weights holds; nothing in it is executed.

    Args:
        path: of the file.

    Returns:
        By name; tensors on the CPU, read from the file when they are used.

    Raises:
        InputError: there is no such file, or it is damaged, or holds something else.
    """
    try:
        with ZipFile(path) as file:
            member = file.testzip()
        if member is not None:
            raise InputError(f"{path} is damaged: a wrong checksum of {member}")
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"there is no {path}") from error
    except Exception as error:
        # torch's own advice is to load it in a way that may execute what it holds.
        raise InputError(f"{path} is damaged ({first_line(error)})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged (it holds a {type(found).__name__})")
    return found
