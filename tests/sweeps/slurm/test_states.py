"""What `sermm status` says of jobs that were handed to Slurm; programs of Bash stand in for it."""

import getpass
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from sermm.runs.plans import PlannedJob, log_path, write_plan
from sermm.sweeps.slurm.arrays import Array, folder_of
from sermm.sweeps.slurm.states import entries, last_line

JOBS = [PlannedJob((f"fold={n}",)) for n in range(1, 5)]


def now():
    return datetime.now(UTC)


@pytest.fixture
def handed(study, tmp_path, program):
    """A study of four jobs, of which three were handed over as array 7."""
    write_plan(study, JOBS)
    folder = folder_of(study)
    (folder / "ends").mkdir(parents=True)
    (study / ".sweeps" / "logs").mkdir()
    ids = tuple(job.id for job in JOBS[:3])
    record = Array(str(folder / "array-x.sh"), {}, 1, ids)
    record.write(folder / "array-x.json")
    record.write(folder / "7.json")
    program("sacct", "exit 1")

    def seen(*lines, found=entries):
        (tmp_path / "queue").write_text("".join(f"{line}\n" for line in lines))
        by_job = {entry.job: entry for entry in found(study)}
        return [by_job[job] for job in JOBS]

    return seen


def row(index, state, reason="None", began="N/A", array=7, script="x"):
    return f"{array}|{index}|{state}|{began}|{reason}|{script}"


def local(moment):
    return moment.astimezone().replace(tzinfo=None).isoformat(timespec="seconds")


def put(study, job, state, heartbeat=None, error=None, slurm="7_1"):
    heartbeat = heartbeat or now()
    folder = study / job.id
    folder.mkdir(exist_ok=True)
    said = {"state": state, "error": error, "host": "elsewhere", "pid": 1, "job": job.id}
    said = {**said, "heartbeat": heartbeat.isoformat(), "slurm": slurm}
    (folder / "status.json").write_text(json.dumps(said))


def test_what_has_no_folder_is_as_slurm_says(handed):
    found = handed(row(1, "PENDING", "JobArrayTaskLimit"), row(2, "RUNNING"), row(3, "CONFIGURING"))
    assert [one.state for one in found] == ["queued", "starting", "starting", "waiting"]
    assert (found[0].reason, found[0].slurm) == ("JobArrayTaskLimit", "7_1")


def test_what_was_written_and_never_submitted(handed, study):
    folder = folder_of(study)
    Array(str(folder / "array-y.sh"), {}, 1, (JOBS[3].id,)).write(folder / "array-y.json")
    assert handed(*(row(n, "PENDING") for n in (1, 2, 3)))[3].state == "not_submitted"
    # By hand, as array 9: known by its script, then by the record that this leaves.
    by_hand = row(1, "PENDING", "Priority", array=9, script=folder / "array-y.sh")
    assert handed(by_hand)[3].state == "queued"


def test_what_ended_before_there_was_a_run(handed, study):
    logs = study / ".sweeps" / "logs"
    (folder_of(study) / "ends" / "7_1.127").touch()
    (logs / "slurm-7_1.log").write_text("module: \x1b[31mcommand not found\x1b[0m\n\n")
    (logs / "slurm-7_3.log").write_text("")
    first, second, third, _ = handed()
    assert (first.state, first.reason) == (
        "failed",
        "Slurm job 7_1 ended with exit status 127: module: command not found",
    )
    assert (second.state, "cancelled, most likely" in second.reason) == ("cancelled", True)
    assert (third.state, "gone without a word" in third.reason) == ("failed", True)


@pytest.mark.parametrize(
    ("state", "said", "reason"),
    [
        ("CANCELLED", "cancelled", "was cancelled before its run began"),
        ("TIMEOUT", "failed", "(TIMEOUT)"),
        ("NODE_FAIL", "interrupted", "NODE_FAIL"),
        ("OUT_OF_MEMORY", "failed", "(OUT_OF_MEMORY)"),
        ("FAILED", "failed", "Slurm job 7_1 ended"),
    ],
)
def test_what_slurm_says_of_the_end(handed, state, said, reason):
    first = handed(row(1, state))[0]
    assert first.state == said
    assert reason in first.reason


def test_accounts_are_asked_of_what_the_queue_has_forgotten(handed, program, tmp_path):
    program(
        "sacct", f'echo "$@" >>{tmp_path}/asked; echo "7_1|FAILED"; echo "7_[2-3%1]|CANCELLED by 5"'
    )
    found = handed()
    assert [one.state for one in found[:3]] == ["failed", "cancelled", "cancelled"]
    assert "was cancelled before its run began" in found[2].reason
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert "--jobs=7" in asked


def test_a_folder_knows_best_what_became_of_its_run(handed, study):
    put(study, JOBS[0], "finished", slurm="7_1")
    put(study, JOBS[1], "failed", error="ValueError: x", slurm="7_2")
    put(study, JOBS[2], "running", slurm="7_3")
    ended = [row(1, "RUNNING"), row(2, "FAILED"), row(3, "RUNNING")]
    found = handed(*ended)
    assert [one.state for one in found[:3]] == ["finished", "failed", "running"]
    assert found[1].reason == "ValueError: x"


def test_a_folder_that_takes_a_dead_process_for_alive(handed, study):
    put(study, JOBS[0], "running", slurm="7_1")
    put(study, JOBS[1], "running", slurm="7_2")
    (study / ".sweeps" / "logs" / "slurm-7_2.log").write_text("")
    found = handed(row(1, "NODE_FAIL"))
    assert [one.state for one in found[:2]] == ["interrupted", "interrupted"]
    assert found[0].reason == "Slurm ended job 7_1: NODE_FAIL"
    # Of another one, such as a pool on a node, Slurm knows nothing.
    put(study, JOBS[0], "running", heartbeat=now() + timedelta(hours=1), slurm=None)
    assert handed(row(1, "NODE_FAIL"))[0].state == "running"


def test_what_is_put_back_waits_and_starts_again(handed, study):
    put(study, JOBS[0], "interrupted", error="preempted", slurm="7_1")
    assert handed(row(1, "PENDING", "BeginTime"))[0].state == "queued"
    later, before = now() + timedelta(minutes=3), now() - timedelta(minutes=3)
    assert handed(row(1, "RUNNING", began=local(later)))[0].state == "starting"
    assert handed(row(1, "RUNNING", began=local(before)))[0].state == "interrupted"


def test_a_later_task_speaks_where_its_run_did_not_begin(handed, study):
    long_ago = now() - timedelta(days=1)
    put(study, JOBS[0], "failed", heartbeat=long_ago, error="ValueError: old", slurm="3_1")
    (folder_of(study) / "ends" / "7_1.1").touch()
    log_path(study, JOBS[0]).write_text("ImportError: no torch\n")
    first = handed()[0]
    assert (first.state, first.reason, first.slurm) == (
        "failed",
        "Slurm job 7_1 ended with exit status 1: ImportError: no torch",
        "7_1",
    )
    # Somebody has gone on with it since, in a pool.
    put(study, JOBS[0], "failed", heartbeat=now() + timedelta(hours=1), error="x", slurm=None)
    assert handed()[0].reason == "x"


def test_the_task_that_is_alive_counts_not_the_last_one(handed, study):
    folder = folder_of(study)
    Array.read(folder / "7.json").write(folder / "8.json")
    os.utime(folder / "8.json", (now().timestamp() + 60,) * 2)
    first = handed(row(1, "PENDING", "Priority", array=7), row(1, "FAILED", array=8))[0]
    assert (first.state, first.slurm) == ("queued", "7_1")


def test_slurm_is_asked_once_and_for_all_who_submitted(handed, program, tmp_path):
    program("squeue", f'echo "$@" >>{tmp_path}/asked')
    handed()
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert f"--users={getpass.getuser()} " in f"{asked} "
    assert "--states=all" in asked


def test_without_slurm_the_folders_alone_are_told(handed, study, program, capsys):
    program("squeue", "echo 'no controller' >&2; exit 1")
    put(study, JOBS[0], "running")
    found = handed()
    assert [one.state for one in found] == ["running", "waiting", "waiting", "waiting"]
    assert "squeue does not answer (no controller)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["7.json", "array-x.json"])
def test_a_damaged_record_hides_no_run(handed, study, capsys, name):
    (folder_of(study) / name).write_text("{")
    put(study, JOBS[0], "running")
    assert [one.state for one in handed()] == ["running", "waiting", "waiting", "waiting"]
    assert f"{name} is damaged" in capsys.readouterr().err


def test_the_last_line_is_of_the_log_that_was_written_to_last(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old\n")
    new.write_text("x" * 9000 + "\nnew\r\n \n")
    os.utime(old, (1, 1))
    assert last_line(old, new, tmp_path / "none") == "new"
    assert last_line(tmp_path / "none") == ""
