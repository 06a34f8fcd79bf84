"""The process of a job of the pool: how it begins, and how it is ended from outside."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from sermm.core.errors import INTERRUPTED

_GRACE_S = 30.0


def kill_group(process: ForkServerProcess, number: signal.Signals) -> None:
    """Sends a signal to a job's process and to all that it has started."""
    if process.pid is None:
        return
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        # Its first act is to get a group; it may be too young, or gone.
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def await_end(process: ForkServerProcess) -> None:
    """Waits until a job's process that was killed is really gone, and its locks with it.

    multiprocessing calls it ended when its fork server has died, which it may outlive.
    """
    if process.pid is None:
        return
    # No such process: the usual case, its fork server has taken it in.
    with suppress(OSError):
        handle = os.pidfd_open(process.pid)
        try:
            wait([handle], timeout=_GRACE_S)
        finally:
            os.close(handle)


def _end_with(pool: Connection) -> None:
    """Stops the job and all that it has started when the pool is gone: its end is closed then.

    (The fork server, whose child this is, lives as long as its children.)
    """
    with suppress(EOFError, OSError):
        pool.recv_bytes()
    os.killpg(0, signal.SIGINT)
    time.sleep(_GRACE_S)
    os.killpg(0, signal.SIGKILL)


def work(
    command: Callable[[list[str]], int],
    words: list[str],
    environment: dict[str, str],
    log: str,
    pool: Connection,
) -> None:
    """A job's process: its own group, its own output, and no life after the pool's.

    Args:
        command: called with the words.
        words: of the job.
        environment: of its slot.
        log: the file that everything printed is added to, by libraries and child processes too.
        pool: one end of the pool's pipe.
    """
    os.setpgid(0, 0)
    # As by hand: a child of a fork server would start its own children by another one, to which all
    # that a data loader's worker reads is sent, a descriptor for each tensor; 256 are too many.
    multiprocessing.set_start_method(None, force=True)
    # However the pool was started: a shell's background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with, args=(pool,), daemon=True).start()
    os.environ.update(environment)
    with Path(log).open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    if threads := environment.get("OMP_NUM_THREADS"):
        import torch

        # The fork server has read the variable already.
        torch.set_num_threads(int(threads))
    try:
        sys.exit(command(words))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
