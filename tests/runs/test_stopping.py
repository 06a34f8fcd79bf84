import json
import os
import signal
import stat
import threading

import pytest

from sermm.runs import stopping as preemption
from sermm.runs.folder import RunFolder
from sermm.runs.stopping import Stopped, Watch, following, stoppable


@pytest.fixture(autouse=True)
def handlers_as_before():
    before = {number: signal.getsignal(number) for number in preemption.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def status(folder):
    return json.loads((folder.path / "status.json").read_text())


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A job 7_2 whose scontrol says what it is told to, and notes what it is asked."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    program, asked = bin_dir / "scontrol", tmp_path / "asked"

    def says(answer, requeue_status=0):
        program.write_text(
            f'#!/bin/sh\necho "$@" >>"{asked}"\n'
            f'if [ "$1" = requeue ]; then echo not allowed >&2; exit {requeue_status}; fi\n'
            f"echo '{answer}'\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return lambda: asked.read_text().splitlines() if asked.exists() else []

    monkeypatch.setenv("PATH", str(bin_dir), prepend=os.pathsep)
    for name, value in {
        "SLURM_JOB_ID": "9",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "2",
        "SLURM_JOB_NAME": "sermm",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    return says


RUNNING = "JobId=9 JobState=RUNNING Requeue=1 TimeLimit=UNLIMITED RunTime=00:01:00"


@pytest.mark.parametrize("number", preemption.SIGNALS)
def test_a_signal_outside_slurm_leaves_an_interrupted_run(folder, number):
    with pytest.raises(Stopped), stoppable(folder):
        os.kill(os.getpid(), number)
    assert status(folder)["state"] == "interrupted"
    assert status(folder)["error"] == f"stopped by {number.name}; run it again to resume"


def test_under_slurm_the_job_is_requeued_once_after_the_folder_says_so(folder, slurm):
    asked = slurm(RUNNING)
    with pytest.raises(Stopped), stoppable(folder):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert status(folder)["state"] == "interrupted"
    assert status(folder)["error"] == "preempted: SIGUSR1 from Slurm, job 7_2 requeued"
    assert asked() == ["show job --oneliner 7_2", "requeue 7_2"]


def test_who_looks_on_hears_of_a_requeue_before_slurm_does(folder, slurm):
    asked = slurm(RUNNING)
    heard = []
    with pytest.raises(Stopped), stoppable(folder, lambda: heard.append((asked(), status(folder)))):
        os.kill(os.getpid(), signal.SIGUSR1)
    ((before, said),) = heard
    assert before == ["show job --oneliner 7_2"]
    assert said["state"] == "interrupted"
    slurm(RUNNING.replace("Requeue=1", "Requeue=0"))
    with pytest.raises(Stopped), stoppable(folder, lambda: heard.append(None)):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (RUNNING.replace("Requeue=1", "Requeue=0"), "may not be requeued"),
        ("JobState=COMPLETING Reason=None Requeue=1 Restarts=0", "job 7_2 was cancelled"),
        ("JobState=COMPLETING Reason=None Requeue=1 Restarts=1", "Slurm requeued job 7_2"),
        (
            "JobState=COMPLETING Reason=TimeLimit TimeLimit=00:01:00 Requeue=1 Restarts=0",
            "the time limit 00:01:00 of Slurm job 7_2 was reached",
        ),
        ("", "scontrol does not answer"),
        (
            "JobState=RUNNING Requeue=1 TimeLimit=01:00:00 RunTime=00:58:00",
            "not one epoch fits into the time limit",
        ),
    ],
)
def test_a_job_that_slurm_ends_itself_is_not_requeued(folder, slurm, answer, said):
    asked = slurm(answer)
    with pytest.raises(Stopped), stoppable(folder):
        os.kill(os.getpid(), signal.SIGTERM)
    assert said in status(folder)["error"]
    assert not [line for line in asked() if line.startswith("requeue")]


def test_a_run_near_its_time_limit_that_has_finished_an_epoch_is_requeued(folder, slurm):
    asked = slurm("JobState=RUNNING Requeue=1 TimeLimit=1-01:00:00 RunTime=1-00:58:00")
    folder.last.parent.mkdir(parents=True)
    folder.last.touch()
    os.utime(folder.last, (2**31, 2**31))
    with pytest.raises(Stopped), stoppable(folder):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert asked()[-1] == "requeue 7_2"


def test_a_run_that_never_gets_on_is_not_requeued_for_ever(folder, slurm):
    asked = slurm(RUNNING)
    for _ in range(3):
        with pytest.raises(Stopped), stoppable(folder):
            os.kill(os.getpid(), signal.SIGUSR1)
    assert asked().count("requeue 7_2") == 2
    assert "3 attempts without a whole epoch" in status(folder)["error"]


def test_a_requeue_that_fails_is_told(folder, slurm):
    slurm(RUNNING, requeue_status=1)
    with pytest.raises(Stopped), stoppable(folder):
        os.kill(os.getpid(), signal.SIGUSR2)
    assert "scontrol requeue failed: not allowed" in status(folder)["error"]


def test_an_error_that_a_signal_caused_elsewhere_is_no_failure(folder, slurm, monkeypatch):
    slurm(RUNNING)
    monkeypatch.setattr(preemption, "LATE_S", 30.0)
    timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGUSR1])
    timer.start()
    with pytest.raises(Stopped), stoppable(folder):
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: User defined signal 1")
    timer.join()
    assert status(folder)["state"] == "interrupted"


def test_a_failure_under_slurm_is_a_failure(folder, slurm, monkeypatch):
    slurm(RUNNING)
    monkeypatch.setattr(preemption, "LATE_S", 0.01)
    with pytest.raises(RuntimeError), stoppable(folder):
        raise RuntimeError("no")
    assert status(folder)["state"] == "failed"
    assert status(folder)["slurm"] == "7_2"


def test_a_signal_after_the_result_changes_nothing(folder, a_result):
    with stoppable(folder):
        folder.finish(a_result(key="k"))
        os.kill(os.getpid(), signal.SIGTERM)
    assert status(folder)["state"] == "finished"


def test_a_second_signal_ends_the_process_at_once(folder):
    child = os.fork()
    if child == 0:
        folder.path.mkdir()
        watch = Watch(folder)
        watch.heard, watch.heard_s = signal.SIGUSR1, -preemption.REPEAT_S
        watch(signal.SIGTERM, None)
        os._exit(1)
    _, code = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(code) == 130
    assert "second signal" in status(folder)["error"]


def test_the_same_signal_twice_in_a_moment_is_one(folder):
    watch = Watch(folder)
    with pytest.raises(Stopped):
        watch(signal.SIGTERM, None)
    watch(signal.SIGTERM, None)
    with pytest.raises(Stopped):
        watch.check()


def test_a_worker_ignores_the_warning_but_not_sigterm(folder):
    watch = Watch(folder)
    for number, expected in ((signal.SIGUSR1, 0), (signal.SIGTERM, -signal.SIGTERM)):
        child = os.fork()
        if child == 0:
            signal.signal(number, watch)
            os.kill(os.getpid(), number)
            os._exit(0)
        _, code = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(code) == expected


def test_another_process_of_a_run_outlives_the_signal_and_then_ends(monkeypatch):
    monkeypatch.setattr(preemption, "FOLLOWER_S", 0.2)
    child = os.fork()
    if child == 0:
        with following():
            os.kill(os.getpid(), signal.SIGTERM)
            # Here it goes on with its batch.
            signal.pause()
        os._exit(0)
    _, code = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(code) == 130
