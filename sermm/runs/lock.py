"""The lock that keeps a second process out of a folder.

It is the system's own (`flock`), so it is gone with its process, and a stale one cannot exist. Such
a lock belongs to an open file, which forked children share: the workers of a data loader live for
seconds after their parent was killed, and would hold its folder for so long. So what is forked
closes its copy at once, which gives nothing back while the parent has its own. What is started by
exec gets no copy.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

LOCK = ".lock"

_open_here: set[TextIO] = set()


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Holds the lock of a folder, which must be there, while the body runs.

    Yields:
        Whether this process has it; False if another one on this file system does.
    """
    with (folder / LOCK).open("w") as file:
        _open_here.add(file)
        try:
            yield _taken(file)
        finally:
            _open_here.discard(file)


def _taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _leave_to_parent() -> None:
    for file in _open_here:
        file.close()
    _open_here.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
