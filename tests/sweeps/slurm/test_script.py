"""The script is executed here by bash, with an srun that starts the command itself."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from sermm.core.errors import InputError
from sermm.runs.folder import RunFolder
from sermm.runs.plans import Note, PlannedJob, write_note, write_plan
from sermm.sweeps.slurm.queue import last_settings, missing
from sermm.sweeps.slurm.script import quoted, script, table
from sermm.sweeps.slurm.settings import SlurmSettings
from sermm.sweeps.slurm.submit import submit, write

PLAIN = {
    "account": None,
    "partition": None,
    "gpus": None,
    "nodes": 1,
    "cpus": 4,
    "memory": None,
    "time": None,
    "options": [],
    "setup": [],
    "python": None,
    "requeue": True,
    "signal": "USR1@120",
    "at_most": None,
    "pack": 1,
}


def settings(devices=1, **changes):
    return SlurmSettings.of({"devices": devices, "asked": {**PLAIN, **changes}})


def text_of(study, devices=1, **changes):
    return script(study, study / "t.jobs", settings(devices, **changes))


def options_of(text):
    return [line[8:] for line in text.splitlines() if line.startswith("#SBATCH ")]


def test_every_setting_becomes_an_option(tmp_path):
    text = text_of(
        tmp_path / "my study",
        devices=8,
        nodes=2,
        account="lab",
        partition="gpu",
        memory="16G",
        time="1-12:00:00",
        options=["--qos=low"],
        requeue=False,
    )
    logs = f"{tmp_path}/my study/.sweeps/logs/slurm-%A_%a.log"
    assert options_of(text) == [
        "--job-name=sermm-my_study",
        f'--output="{logs}"',
        "--open-mode=append",
        f'--chdir="{Path.cwd()}"',
        "--nodes=2",
        "--ntasks-per-node=4",
        "--cpus-per-task=4",
        "--account=lab",
        "--partition=gpu",
        "--time=1-12:00:00",
        "--mem=16G",
        "--gpus-per-node=4",
        "--signal=USR1@120",
        "--no-requeue",
        "--qos=low",
    ]


def test_runs_without_gpus_ask_for_none(tmp_path):
    assert "--gpus" not in text_of(tmp_path, gpus=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pack": 2, "devices": 2}, "pack=2 is for runs on one device"),
        ({"nodes": 2, "devices": 3}, "cannot be shared by nodes=2"),
        ({"cpus": 0}, "cpus=0: expected a number of at least 1"),
        ({"pack": "two"}, "pack=two: expected a whole number"),
        ({"setup": "module load x"}, "expected a list"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        text_of(tmp_path, **changes)


def test_paths_that_sbatch_cannot_take_are_refused():
    assert quoted(Path('a "b')) == '"a \\"b"'
    with pytest.raises(InputError, match="backslash"):
        quoted(Path("a\\b"))
    with pytest.raises(InputError, match="line break"):
        table([PlannedJob(("a=b\nc",))])


HARD = ("study='it''s'", 'data.root="a  b $HOME `x`"', "x=$(false)", "y=*", "fold=1")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study on a path with spaces, and programs that note how they are called."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    programs = {
        # Starts its command once for each task, as srun does.
        "srun": "shift 2; for SLURM_PROCID in $(seq 0 $((TASKS - 1))); do export SLURM_PROCID; "
        '"$@" & pids="$pids $!"; done; worst=0; for p in $pids; do wait $p || worst=$?; done; '
        "exit $worst",
        "python": 'printf "%s\\n" "$SLURM_PROCID" "$@"; echo; case "$*" in *slurm.end*) echo '
        '"$@" >>"$NOTES";; *fold=9*) exit 3;; esac',
        "sbatch": 'echo "$@" >>"$NOTES"; echo "41$#;cluster"',
        "squeue": 'cat "$QUEUE"',
        "scontrol": 'echo "MaxArraySize            = 3"',
    }
    for name, text in programs.items():
        (bin_dir / name).write_text(f"#!/bin/bash\n{text}\n")
        (bin_dir / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_dir), prepend=os.pathsep)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("QUEUE", str(tmp_path / "queue"))
    (tmp_path / "queue").touch()
    folder = tmp_path / "runs and" / "my study"
    folder.mkdir(parents=True)
    return folder


def execute(written, index, tasks=1, before=0):
    environment = {
        **os.environ,
        "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_CPUS_PER_TASK": "1",
        "TASKS": str(tasks),
    }
    command = ["bash", str(written.path), str(before)]
    return subprocess.run(command, env=environment, check=False, timeout=60).returncode


def heard(study, job):
    path = study / ".sweeps" / "logs" / f"{job.id}.log"
    return path.read_text().splitlines() if path.exists() else []


def words_heard(job):
    return ["0", "-m", "sermm.cli.main", "train", *job.words, "hydra.mode=RUN", ""]


JOBS = [PlannedJob((*HARD[:4], f"fold={n}")) for n in (1, 2, 9)]


def test_words_reach_the_run_as_they_are(study, monkeypatch):
    monkeypatch.setenv("LEVEL", "outside")
    made = write(study, JOBS, settings(python="python", setup=["export LEVEL=inside", "cd /"]))
    assert execute(made, 2) == 0
    assert heard(study, JOBS[1]) == words_heard(JOBS[1])
    assert heard(study, JOBS[0]) == []


def test_a_failure_is_the_scripts_own_and_its_folder_is_looked_after(study, tmp_path):
    made = write(study, JOBS, settings(python="python"))
    assert execute(made, 1, before=2) == 3
    assert (tmp_path / "notes").read_text().split("slurm.end ")[1].split() == [
        *f"{study} 3".split(),
        JOBS[2].id,
    ]


def test_a_packed_task_runs_its_share_of_the_table_and_no_more(study):
    made = write(study, JOBS, settings(python="python", pack=2))
    assert execute(made, 1, tasks=2) == 0
    assert heard(study, JOBS[0]) == words_heard(JOBS[0])
    assert heard(study, JOBS[1]) == words_heard(JOBS[1])
    assert heard(study, JOBS[2]) == []
    assert execute(made, 2, tasks=2) == 3
    assert heard(study, JOBS[2]) == words_heard(JOBS[2])


def test_setup_that_fails_ends_the_task(study):
    made = write(study, JOBS, settings(python="python", setup=["false"]))
    assert execute(made, 1) == 1
    assert heard(study, JOBS[0]) == []


def test_long_sweeps_become_several_arrays(study, tmp_path):
    made = write(study, JOBS, settings(at_most=5))
    assert submit(study, made) == ["414", "414"]
    path = str(made.path)
    calls = [shlex.split(line) for line in (tmp_path / "notes").read_text().splitlines()]
    assert calls[0] == ["--parsable", "--array=1-2%5", *path.split(), "0"]
    assert calls[1] == ["--parsable", "--array=1-1%5", *path.split(), "2"]


def test_without_sbatch_the_script_is_there_and_named(study, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    made = write(study, JOBS, settings())
    with pytest.raises(InputError, match="no sbatch") as refused:
        submit(study, made)
    assert str(made.path) in str(refused.value)
    assert made.path.exists()


def test_missing_is_what_is_neither_finished_nor_running_nor_queued(study, tmp_path):
    jobs = [PlannedJob((f"fold={n}",)) for n in range(1, 6)]
    write_plan(study, jobs)
    made = write(study, jobs[:4], settings(pack=2, memory="3G"))
    monkey = {"script": "s", "settings": made.settings.as_json(), "pack": 2}
    record = study / ".sweeps" / "slurm" / "77.json"
    record.write_text(json.dumps({**monkey, "jobs": [job.id for job in jobs[:4]]}))
    for job, state in zip(jobs, ("finished", "failed", "running", "interrupted"), strict=False):
        folder = RunFolder(study / job.id, job.id)
        folder.path.mkdir()
        folder.write_status(state)
    assert missing(study) == ([jobs[1], jobs[3], jobs[4]], 1)
    (tmp_path / "queue").write_text("77 2\n99 1\n77 N/A\n")
    assert missing(study) == ([jobs[1], jobs[4]], 2)
    assert last_settings(study) == made.settings
    write_note(study, jobs[1].words, Note(key="another job's"))
    write_note(study, jobs[4].words, Note(error="fold 9 of 5", left_out=True))
    assert missing(study) == ([], 2)


def test_a_queue_that_cannot_be_asked_submits_nothing_twice(study, monkeypatch):
    made = write(study, JOBS, settings())
    submit(study, made)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="squeue does not answer"):
        missing(study)


def test_without_a_submission_there_is_nothing_to_retry(tmp_path):
    with pytest.raises(InputError, match=r"nothing of .* was submitted"):
        last_settings(tmp_path)


def test_settings_read_back_what_was_kept():
    found = settings(devices=2, setup=["a"], options=["--b"], time="1:00:00")
    assert SlurmSettings.of(json.loads(json.dumps(found.as_json()))) == found
    assert (found.devices, found.asked.nodes, found.asked.cpus) == (2, 1, 4)
    assert (found.asked.time, found.asked.options, found.asked.setup) == (
        "1:00:00",
        ("--b",),
        ("a",),
    )
    assert (found.asked.requeue, found.asked.signal, found.asked.pack) == (True, "USR1@120", 1)
