import os
import subprocess
import sys

import pytest

from sermm.core.errors import InputError
from sermm.core.files import read_json
from sermm.runs.folder import RunBusyError, RunFolder


def status(folder):
    return read_json(folder.path / "status.json")


def test_a_body_that_fails_leaves_the_traceback(tmp_path):
    folder = RunFolder(tmp_path / "k")
    with pytest.raises(RuntimeError), folder.running():
        raise RuntimeError("out of luck")
    assert status(folder)["state"] == "failed"
    assert "out of luck" in status(folder)["error"]
    assert folder.result is None


def test_ctrl_c_leaves_an_interrupted_run(tmp_path):
    folder = RunFolder(tmp_path / "k")
    with pytest.raises(KeyboardInterrupt), folder.running():
        raise KeyboardInterrupt
    assert status(folder)["state"] == "interrupted"
    assert status(folder)["pid"] == os.getpid()


def test_only_a_finished_run_has_a_result(tmp_path, a_result):
    folder = RunFolder(tmp_path / "k")
    assert folder.state is None
    with folder.running():
        assert folder.state == "running"
        folder.finish(a_result(key="k"))
    assert folder.result == folder.finished() == a_result(key="k")


def test_a_result_without_its_status_does_not_count(tmp_path, a_result):
    folder = RunFolder(tmp_path / "k")
    with folder.running():
        a_result(key="k").write(folder.path)
    assert folder.state == "running"
    assert folder.result is None


def test_two_processes_cannot_work_in_one_folder(tmp_path):
    folder = RunFolder(tmp_path / "k")
    script = (
        "import sys; from pathlib import Path; from sermm.runs.folder import *\n"
        "with RunFolder(Path(sys.argv[1])).running(): print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder.path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(RunBusyError, match="another process"), folder.running():
            pass
        other.kill()
    # A killed process holds nothing.
    with folder.running():
        assert status(folder)["pid"] == os.getpid()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the run folder .*runs_dir="):
        RunFolder(tmp_path / "file" / "study" / "k").start("a: 1")
