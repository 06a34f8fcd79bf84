"""The lock of a run folder ends with the process that took it."""

import os
import signal
import subprocess
import sys

import pytest

from sermm.runs.folder import RunBusyError, RunFolder
from sermm.runs.lock import locked

FORKING = """
import os, sys, time
from pathlib import Path
from sermm.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).running():
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    time.sleep(60)
"""


def test_what_was_forked_does_not_hold_the_folder_of_a_killed_parent(tmp_path):
    command = [sys.executable, "-c", FORKING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        try:
            # The child has no share in it, and takes none away.
            assert RunFolder(tmp_path).busy
            parent.kill()
            parent.wait()
            os.kill(child, 0)
            assert not RunFolder(tmp_path).busy
            with RunFolder(tmp_path).running():
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_child_that_ends_leaves_the_lock_to_its_parent(tmp_path):
    with RunFolder(tmp_path).running():
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        assert RunFolder(tmp_path).busy
        with pytest.raises(RunBusyError, match="run by another process"):
            RunFolder(tmp_path).running().__enter__()
    with locked(tmp_path) as mine:
        assert mine
