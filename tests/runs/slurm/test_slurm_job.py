import os
import subprocess
import sys

import pytest

from sermm.core.errors import InputError
from sermm.runs.folder import RunFolder
from sermm.runs.processes import cluster
from sermm.runs.slurm.job import await_ready, current_job, nodes, preflight, say_ready
from sermm.sweeps.slurm.end import left_running, main, verdict


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def step(monkeypatch):
    """This process becomes one of `tasks` that srun started."""

    def become(tasks, n_nodes=1, name="sermm"):
        for key, value in {
            "SLURM_JOB_ID": 12,
            "SLURM_JOB_NAME": name,
            "SLURM_STEP_ID": 0,
            "SLURM_STEP_NUM_TASKS": tasks,
            "SLURM_STEP_NUM_NODES": n_nodes,
            "SLURM_NTASKS": tasks,
            "SLURM_PROCID": 0,
            "SLURM_LOCALID": 0,
            "SLURM_NODEID": 0,
        }.items():
            monkeypatch.setenv(key, str(value))
        monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)

    return become


def test_one_device_outside_slurm_needs_no_line():
    assert preflight(1) is None
    assert preflight(2) == "no Slurm job: 1 node, 2 processes and devices"


def test_the_line_says_what_slurm_gave(step):
    step(tasks=4, n_nodes=2)
    said = preflight(4)
    assert said == ("Slurm job 12: 2 node(s), 4 process(es) of srun, 4 device(s), requeued 0 times")
    assert nodes() == 2


@pytest.mark.parametrize(("tasks", "n_nodes", "devices"), [(2, 1, 1), (2, 1, 4), (3, 2, 3)])
def test_as_many_processes_as_devices_or_none(step, tasks, n_nodes, devices):
    step(tasks, n_nodes)
    with pytest.raises(InputError, match=rf"trainer.devices={devices}.*--ntasks-per-node"):
        preflight(devices)


@pytest.mark.parametrize("name", ["bash", "interactive"])
def test_a_shell_in_slurm_is_no_job(step, name):
    step(tasks=1, name=name)
    assert current_job() is None
    assert type(cluster()).__name__ == "LightningEnvironment"


def test_a_script_without_srun_is_one_process(step, monkeypatch):
    step(tasks=2)
    monkeypatch.delenv("SLURM_STEP_ID")
    assert current_job().tasks == 1
    assert type(cluster()).__name__ == "LightningEnvironment"


def test_lightning_takes_the_processes_of_srun_and_requeues_nothing(step):
    step(tasks=2)
    found = cluster()
    assert type(found).__name__ == "SLURMEnvironment"
    assert found.world_size() == 2
    assert found.auto_requeue is False


def test_an_array_task_is_named_as_squeue_names_it(step, monkeypatch):
    step(tasks=1)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "10")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "3")
    assert (current_job().name, current_job().restarts) == ("10_2", 3)


def test_the_second_process_waits_for_this_attempt_of_the_first(step, tmp_path, monkeypatch):
    monkeypatch.setattr("sermm.runs.slurm.job.READY_S", 0.1)
    step(tasks=2)
    with pytest.raises(InputError, match="is not ready"):
        await_ready(tmp_path)
    say_ready(tmp_path)
    await_ready(tmp_path)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with pytest.raises(InputError, match="is not ready"):
        await_ready(tmp_path)


@pytest.mark.parametrize(
    ("status", "said", "state", "reason"),
    [
        (137, {"JobState": "RUNNING"}, "failed", "ended by SIGKILL in Slurm job 12 (out of memory"),
        (1, {"JobState": "RUNNING"}, "failed", "exit status 1 in Slurm job 12"),
        (143, {"JobState": "COMPLETING"}, "interrupted", "was cancelled"),
    ],
)
def test_what_a_killed_run_came_to(step, status, said, state, reason):
    step(tasks=1)
    found, text = verdict(current_job(), status, said)
    assert found == state
    assert reason in text


def test_only_the_folders_of_this_job_are_marked(step, tmp_path):
    for name, job, state in (("a", "j1", "running"), ("b", "j1", "failed"), ("c", "j2", "running")):
        folder = RunFolder(tmp_path / name, job)
        folder.path.mkdir()
        step(tasks=1)
        folder.write_status(state)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "status.json").write_text("{")
    assert [folder.path for folder in left_running(tmp_path, {"j1"}, "12")] == [tmp_path / "a"]
    assert left_running(tmp_path, {"j1"}, "13") == []


def test_the_last_step_of_a_script_starts_quickly():
    code = "import sys, sermm.sweeps.slurm.end; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What a scontrol was asked that has the job run, and lets it be requeued."""
    program, asked = tmp_path / "scontrol", tmp_path / "asked"
    program.write_text(f"#!/bin/sh\necho $* >>{asked}\necho JobState=RUNNING Requeue=1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return asked


@pytest.mark.parametrize(("status", "requeued"), [(138, True), (137, False), (1, False)])
def test_a_job_warned_before_python_was_ready_goes_back(step, tmp_path, asked, status, requeued):
    step(tasks=1)
    assert main([str(tmp_path), str(status), "j1"]) == 0
    assert ("requeue 12" in asked.read_text().splitlines()) is requeued


def test_torchruns_second_process_waits_too(tmp_path, monkeypatch):
    monkeypatch.setattr("sermm.runs.slurm.job.READY_S", 0.1)
    await_ready(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(InputError, match="torchrun none, restarted 0 times"):
        await_ready(tmp_path)
    say_ready(tmp_path)
    await_ready(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(InputError, match="is not ready"):
        await_ready(tmp_path)


def test_a_job_that_gets_on_with_nothing_goes_back_no_more(step, tmp_path, asked, capsys):
    step(tasks=1)
    for _ in range(3):
        main([str(tmp_path), "138", "j1", "j2"])
    assert asked.read_text().splitlines().count("requeue 12") == 2
    assert "3 attempts without a whole epoch, so it is not requeued" in capsys.readouterr().err
    # One of them has got on since.
    folder = RunFolder(tmp_path / "run", "j2")
    folder.path.mkdir()
    folder.write_status("running")
    (folder.path / "metrics.csv").write_text("epoch,val/ua\n1,0.5\n")
    main([str(tmp_path), "138", "j1", "j2"])
    assert asked.read_text().splitlines().count("requeue 12") == 3
