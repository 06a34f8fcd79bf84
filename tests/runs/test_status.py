"""How a run stands: one rule for all who ask."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from sermm.core.errors import InputError
from sermm.runs.folder import RunFolder
from sermm.runs.reading.runs import read_study
from sermm.runs.status import HEARTBEAT_LIMIT, Status, standing
from sermm.sweeps.study import entries


def dead_pid():
    done = subprocess.Popen([sys.executable, "-c", "pass"])
    done.wait()
    return done.pid


def running(age, **who):
    beat = datetime.now(UTC) - age
    return Status("running", **{"host": "elsewhere", "pid": 1, "heartbeat": beat, **who})


YOUNG, OLD = HEARTBEAT_LIMIT - timedelta(seconds=30), HEARTBEAT_LIMIT + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        (lambda: Status("finished"), "finished", ""),
        (lambda: Status("failed", "Traceback ...\nOSError: full\n"), "failed", "OSError: full"),
        (lambda: running(YOUNG), "running", ""),
        (lambda: running(OLD), "interrupted", "no sign of life since "),
        (lambda: running(YOUNG, host=socket.gethostname(), pid=os.getpid()), "running", ""),
    ],
)
def test_all_say_the_same_of_a_run(study, status, state, reason):
    folder = study / "speech_only-system-loso4-s1-f1"
    # made here: when the tests were collected may be long ago
    status().write(folder)
    found = standing(folder)
    assert found.state == state
    assert found.reason.startswith(reason)
    assert RunFolder(folder).state == state
    assert next(e for e in entries(study) if e.folder == folder).state == state
    assert [p.kind for p in read_study(study).problems] == ([state] if state != "finished" else [])


def test_a_process_that_is_gone_is_interrupted_for_all(tmp_path):
    here, gone = socket.gethostname(), dead_pid()
    running(YOUNG, host=here, pid=gone).write(tmp_path)
    assert standing(tmp_path)[:2] == ("interrupted", f"process {gone} is gone from {here}")
    folder = RunFolder(tmp_path)
    assert (folder.state, folder.reason) == ("interrupted", f"process {gone} is gone from {here}")
    with pytest.raises(InputError, match="is interrupted, not finished"):
        folder.finished()


def test_what_cannot_be_read_is_unreadable_and_says_why(tmp_path):
    assert standing(tmp_path)[:2] == ("unreadable", "no status.json: half-written")
    assert RunFolder(tmp_path).state is None
    assert RunFolder(tmp_path).reason == "not started"
    (tmp_path / "status.json").write_text("{")
    assert standing(tmp_path).state == RunFolder(tmp_path).state == "unreadable"
    assert "status.json is damaged: it is no JSON from line 1 on" in RunFolder(tmp_path).reason


def test_what_is_written_is_read_back(tmp_path):
    status = Status.of_this_process("interrupted", "told to", "job", "12_3")
    status.write(tmp_path)
    assert Status.read(tmp_path) == status
    assert set(json.loads((tmp_path / "status.json").read_text())) == {
        "state", "error", "host", "pid", "heartbeat", "job", "slurm", "format",
    }  # fmt: skip


def test_an_older_file_needs_no_more_than_a_state(tmp_path):
    (tmp_path / "status.json").write_text('{"state": "failed"}')
    assert Status.read(tmp_path) == Status("failed")
