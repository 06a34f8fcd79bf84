"""Jobs side by side: what they get, how they end, and that nothing of them stays behind."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import torch

from sermm.core.errors import InputError
from sermm.sweeps import pool as pool_module
from sermm.sweeps.pool import Job, Pool, Slot, slots

CORES = len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """Without what takes seconds to import."""
    monkeypatch.setattr(pool_module, "PRELOAD", ())


def job(folder, script):
    """A job that is a line of shell; each job of a pool calls `subprocess.call`."""
    number = len(list(folder.glob("*.log")))
    log = folder / f"{number}.log"
    log.touch()
    return Job(["sh", "-c", script], log, f"job {number}", folder)


def run(jobs, shares=None):
    ended = []
    Pool(subprocess.call, shares or [Slot(), Slot()], ended.append, lambda running: None).run(jobs)
    return ended


def test_shares_of_gpus():
    def named(*arguments):
        return [s.environment["CUDA_VISIBLE_DEVICES"] for s in slots(*arguments)]

    four = ["0", "1", "2", "3"]
    assert named(four, 1, 1, None) == four
    assert named(four, 2, 1, None) == ["0,1", "2,3"]
    # What is left over stays idle.
    assert named(four, 3, 1, None) == ["0,1,2"]
    assert named(["GPU-7f", "5"], 1, 2, None) == ["GPU-7f", "5", "GPU-7f", "5"]


def test_shares_of_cores():
    def threads(n):
        return [s.environment["OMP_NUM_THREADS"] for s in slots([], 1, 1, n)]

    assert threads(1) == [str(CORES)]
    assert threads(CORES) == ["1"] * CORES
    assert len(threads(None)) == min(CORES, max(2, CORES // 2))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((["0"], 0, 1, None), "gpus_per_job=0: expected a number from 1"),
        ((["0"], 1, 0, None), "jobs_per_gpu=0"),
        ((["0"], 2, 1, None), "gpus_per_job=2, but there are 1 GPUs here"),
        ((["0", "1"], 2, 2, None), "jobs_per_gpu=2 is for jobs of one GPU"),
        (([], 1, 1, 0), "cpu_slots=0"),
    ],
)
def test_impossible_shares_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        slots(*arguments)


def test_every_job_runs_and_one_that_fails_stops_no_other(tmp_path):
    scripts = ["exit 0", "exit 3", "kill -9 $$", "exit 130", "echo said; echo more >&2"]
    jobs = [job(tmp_path, script) for script in scripts]
    ended = run(jobs)
    assert sorted(ended, key=jobs.index) == jobs
    states = [one.state for one in jobs]
    # subprocess.call gives -9 for what a signal ended; the job's own process then exits with it.
    assert [states[0], states[1], states[3]] == ["finished", "failed", "interrupted"]
    assert states[2] == "failed"
    assert jobs[1].end == "its process ended with status 3"
    assert jobs[4].log.read_text().split() == ["said", "more"]


def test_each_job_has_its_share_for_itself(tmp_path):
    shares = [Slot({"CUDA_VISIBLE_DEVICES": name}) for name in ("a", "b")]
    script = "echo $CUDA_VISIBLE_DEVICES; mkdir lock-$CUDA_VISIBLE_DEVICES || exit 1; sleep 0.2; "
    script += "rmdir lock-$CUDA_VISIBLE_DEVICES"
    jobs = [job(tmp_path, f"cd '{tmp_path}'; {script}") for _ in range(6)]
    run(jobs, shares)
    assert [one.exit_status for one in jobs] == [0] * 6
    assert {one.log.read_text().strip() for one in jobs} == {"a", "b"}


def load_many(words):
    """As a run does with workers: every utterance is a tensor of its own."""
    from torch.utils.data import DataLoader

    tensors = [torch.tensor([n]) for n in range(int(words[-1]))]
    return int(sum(len(one) for one in DataLoader(tensors, num_workers=1)) != len(tensors))


def test_a_job_starts_the_workers_of_its_data_loaders_as_by_hand(tmp_path):
    one = Job(["300"], tmp_path / "log", "a job", tmp_path)
    Pool(load_many, [Slot()], lambda job: None, lambda running: None).run([one])
    assert one.state == "finished", one.log.read_text()


def test_jobs_are_asked_for_when_there_is_a_slot(tmp_path):
    asked = []

    def lazily():
        for number in range(3):
            asked.append(number)
            yield job(tmp_path, f"exit {len(asked) > 1 and asked[-1] == 99}")

    seen = []
    jobs = lazily()
    Pool(subprocess.call, [Slot()], lambda one: seen.append(len(asked)), lambda r: None).run(jobs)
    assert seen == [1, 2, 3]


def test_nothing_that_a_job_started_outlives_it(tmp_path):
    one = job(tmp_path, f"sleep 300 & echo $! > '{tmp_path}/pid'")
    run([one])
    assert one.state == "finished"
    wait_until_dead([int((tmp_path / "pid").read_text())])


SCRIPT = """
import signal, subprocess, sys
from pathlib import Path
from sermm.runs.lock import locked
from sermm.sweeps import pool
pool.PRELOAD = ()
folder = Path(sys.argv[1])
def home(number):
    path = folder / f"home{number}"
    path.mkdir(exist_ok=True)
    return path
def call(words):
    # As a run does, it leaves the signal to those who know what to do.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    with locked(home(words[-1])):
        return subprocess.Popen(words).wait()
jobs = [
    pool.Job(["sh", "-c", sys.argv[2] % n, str(n)], folder / f"{n}.log", str(n), folder)
    for n in range(3)
]
def ended(job):
    with locked(home(job.title)) as free, (folder / "ended").open("a") as file:
        file.write(f"{job.state} {'gone' if free else 'alive'}" + chr(10))
if __name__ == "__main__":
    shares = [pool.Slot(), pool.Slot()]
    pool.Pool(call, shares, ended, lambda running: None).run(jobs)
"""


def started(folder, shell):
    """A pool of two slots and three jobs, each of which writes its pid first."""
    (folder / "script.py").write_text(SCRIPT)
    shell = f"echo $$ > '{folder}/pid%d'; {shell}"
    process = subprocess.Popen(
        [sys.executable, str(folder / "script.py"), str(folder), shell],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 60
    while len(pids(folder)) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)
    return process


def pids(folder):
    texts = [path.read_text() for path in folder.glob("pid?")]
    return [int(text) for text in texts if text.endswith("\n")]


def alive(pid):
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_dead(found):
    limit = time.monotonic() + 20
    while any(alive(pid) for pid in found):
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_one_signal_stops_gently_and_starts_no_more(tmp_path):
    process = started(
        tmp_path, f"trap 'echo bye > {tmp_path}/said$$; exit 130' INT; sleep 60 & wait"
    )
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert len(list(tmp_path.glob("said*"))) == 2
    assert len(pids(tmp_path)) == 2
    assert (tmp_path / "ended").read_text().splitlines() == ["interrupted gone"] * 2


def test_a_second_signal_stops_at_once(tmp_path):
    process = started(tmp_path, "trap '' INT; sleep 60 & wait; sleep 60")
    found = pids(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    wait_until_dead(found)
    # Not for want of memory.
    assert (tmp_path / "ended").read_text().splitlines() == ["interrupted gone"] * 2


def test_jobs_do_not_outlive_a_pool_that_is_killed(tmp_path):
    process = started(tmp_path, "sleep 60")
    found = pids(tmp_path)
    process.kill()
    process.communicate(timeout=30)
    wait_until_dead(found)


def test_a_job_whose_fork_server_is_killed_has_ended_and_the_others_get_a_new_one(tmp_path):
    process = started(tmp_path, "[ $0 = 2 ] && exit 0; sleep 60")
    found = pids(tmp_path)
    jobs = [parent(pid) for pid in found]
    (fork_server,) = {parent(pid) for pid in jobs}
    os.kill(fork_server, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    # They were gone before anybody was told that they had ended, and so were their locks.
    ends = (tmp_path / "ended").read_text().splitlines()
    assert ends == ["failed gone", "failed gone", "finished gone"]
    assert not any(alive(pid) for pid in [*jobs, *found])


@pytest.mark.parametrize(("refusals", "state"), [(1, "finished"), (99, "failed")])
def test_a_job_that_cannot_be_started_is_tried_again_and_stops_no_other(
    tmp_path, monkeypatch, refusals, state
):
    start, tried = ForkServerProcess.start, []

    def dying(process):
        tried.append(process)
        second = [*dict.fromkeys(tried)][1:2]
        if process in second and tried.count(process) <= refusals:
            raise EOFError("unexpected EOF")
        start(process)

    monkeypatch.setattr(ForkServerProcess, "start", dying)
    monkeypatch.setattr(pool_module, "_AGAIN_S", (0.0, 0.0))
    jobs = [job(tmp_path, "exit 0") for _ in range(3)]
    assert run(jobs, [Slot()]) == jobs
    assert [one.state for one in jobs] == ["finished", state, "finished"]
    assert jobs[1].killed == (state == "failed")
    if jobs[1].killed:
        assert "fork server that starts the jobs was killed" in jobs[1].end


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


@pytest.mark.slow
def test_the_fork_server_imports_nothing_whose_threads_a_job_would_need():
    script = "import sys, sermm.sweeps.warm; sys.exit('polars' in sys.modules)"
    assert subprocess.call([sys.executable, "-c", script]) == 0
