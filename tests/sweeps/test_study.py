import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sermm.core.errors import InputError
from sermm.runs.folder import RunFolder
from sermm.runs.plans import (
    Note,
    PlannedJob,
    log_path,
    write_note,
    write_plan,
)
from sermm.sweeps.study import as_json, details, entries, missing


def put(study, key, **status):
    """A run folder of which only the status matters."""
    folder = study / key
    folder.mkdir(parents=True)
    known = {
        "host": "elsewhere",
        "pid": 1,
        "heartbeat": datetime.now(UTC).isoformat(),
        "error": None,
    }
    (folder / "status.json").write_text(json.dumps({**known, **status}))
    return folder


def job(fold):
    return PlannedJob(("model=late_fusion", "protocol=loso4", f"fold={fold}", "seed=3"))


def dead_pid():
    done = subprocess.Popen([sys.executable, "-c", "pass"])
    done.wait()
    return done.pid


def only(study):
    (entry,) = entries(study)
    return entry


@pytest.fixture
def study(tmp_path):
    """A study whose path has spaces."""
    folder = tmp_path / "my runs" / "first study"
    folder.mkdir(parents=True)
    return folder


def test_planned_jobs_without_a_folder_wait_and_all_but_finished_and_running_are_missing(study):
    jobs = [job(fold) for fold in range(1, 7)]
    write_plan(study, jobs)
    put(study, "a", state="finished", job=jobs[0].id)
    put(study, "b", state="running", job=jobs[1].id)
    put(study, "c", state="failed", error="Traceback ...\nValueError: no", job=jobs[2].id)
    put(study, "d", state="interrupted", error="preempted", job=jobs[3].id, slurm="12_3")
    put(study, "e", state="finished", job="of no plan")
    (study / "f").mkdir()
    found = entries(study)
    assert [(e.state, e.name, e.reason) for e in found] == [
        ("finished", "a", ""),
        ("running", "b", ""),
        ("failed", "c", "ValueError: no"),
        ("interrupted", "d", "preempted"),
        ("finished", "e", ""),
        ("unreadable", "f", "no status.json: half-written"),
        ("waiting", jobs[4].id, ""),
        ("waiting", jobs[5].id, ""),
    ]
    assert [e.slurm for e in found[:5]] == [None, None, None, "12_3", None]
    assert missing(study) == jobs[2:]


def test_a_job_is_found_whatever_the_order_of_its_words(study):
    write_plan(study, [job(1)])
    put(study, "a", state="finished", job=PlannedJob(job(1).words[::-1]).id)
    assert only(study).job == job(1)
    assert missing(study) == []


def test_a_job_with_several_folders_is_not_missing_if_one_finished(study):
    write_plan(study, [job(1)])
    put(study, "a", state="finished", job=job(1).id)
    put(study, "b", state="failed", job=job(1).id)
    assert missing(study) == []


@pytest.mark.parametrize(
    ("age", "state", "reason"),
    [(4, "running", ""), (6, "interrupted", "no sign of life since ")],
)
def test_without_a_sign_of_life_for_five_minutes_it_is_interrupted(study, age, state, reason):
    beat = datetime.now(UTC) - timedelta(minutes=age)
    put(study, "a", state="running", heartbeat=beat.isoformat())
    entry = only(study)
    assert entry.state == state
    assert entry.reason.startswith(reason)
    assert entry.heartbeat == beat


def test_a_process_that_is_gone_from_this_host_is_interrupted_at_once(study):
    here, gone = socket.gethostname(), dead_pid()
    put(study, "a", state="running", host=here, pid=gone)
    put(study, "b", state="running", host=here, pid=os.getpid())
    put(study, "c", state="running", host="another", pid=gone)
    found = entries(study)
    assert [e.state for e in found] == ["interrupted", "running", "running"]
    assert found[0].reason == f"process {gone} is gone from {here}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "status.json is damaged: it is no JSON from line 1 on"),
        ("[]", "it holds a list, expected an object"),
        ("{}", "status.json has no state"),
        ('{"state": "finished", "pid": "7"}', "status.json: pid is '7', of the wrong type"),
        ('{"state": "finished", "heartbeat": "noon"}', "heartbeat is no time"),
        ('{"state": "finished", "format": 99}', "was written by a newer sermm (format 99"),
        ('{"state": "happy"}', "state is 'happy'"),
        ('{"state": "running"}', "it is running, and has no heartbeat"),
    ],
)
def test_a_damaged_status_is_unreadable_and_says_why(study, text, says):
    (study / "a").mkdir()
    (study / "a" / "status.json").write_text(text)
    assert only(study).state == "unreadable"
    assert says in only(study).reason


def test_a_run_whose_status_is_lost_counts_once(study):
    write_plan(study, [job(1), job(2)])
    for number, error in ((1, ""), (2, "status.json is damaged")):
        folder = put(study, f"key{number}", state="failed", job=job(number).id)
        write_note(study, job(number).words, Note(begun=folder.name, error=error))
        (folder / "status.json").write_text("")
    assert [(e.state, e.job) for e in entries(study)] == [
        ("unreadable", job(1)),
        ("unreadable", job(2)),
    ]
    assert missing(study) == [job(1), job(2)]


@pytest.mark.parametrize("text", ["", "[]", '{"jobs": 3}', '{"jobs": [[1]]}', "{"])
def test_plans_and_notes_that_are_damaged_are_told(study, text):
    write_plan(study, [job(1)])
    damaged = study / ".sweeps" / "0.json"
    damaged.write_text(text)
    (entry, waiting) = entries(study)
    assert (entry.state, entry.name, waiting.state) == ("unreadable", "0.json", "waiting")
    assert f"{damaged} is damaged: " in entry.reason
    assert "remove it, the sweep's own command writes it anew" in entry.reason
    assert as_json(entry, study)["state"] == "unreadable"
    with pytest.raises(InputError, match="is damaged"):
        missing(study)
    damaged.unlink()
    write_note(study, job(1).words, Note())
    next((study / ".sweeps" / "notes").iterdir()).write_text(text)
    # An object with other fields may be of a newer sermm.
    assert text.startswith('{"') or "is damaged: " in only(study).reason


def test_reports_and_hidden_folders_are_no_runs(study):
    (study / "report").mkdir()
    (study / ".sweeps" / "logs").mkdir(parents=True)
    assert entries(study) == []


def test_what_the_engine_writes_is_understood(study, a_result):
    folder = RunFolder(study / "a", job(1).id)
    write_plan(study, [job(1)])
    folder.start("fold: 1\n")
    with folder.running():
        assert only(study).state == "running"
        assert only(study).job == job(1)
        folder.finish(a_result())
    assert only(study).state == "finished"
    folder.write_status("failed", "Traceback\nOSError: full\n")
    assert (only(study).state, only(study).reason) == ("failed", "OSError: full")


def test_details_of_a_running_and_of_a_finished_run(study, a_result):
    write_plan(study, [job(1), job(2)])
    for key, fold, state in (("a", 1, "running"), ("b", 2, "finished")):
        folder = put(study, key, state=state, job=job(fold).id)
        (folder / "config.yaml").write_text(
            "protocol:\n  labels:\n    ang: ang\n  name: loso4\nmodel:\n  system:\n    name: x\n"
            f"  name: caf\nfold: {fold}\nseed: 3\n"
        )
        (folder / "metrics.csv").write_text("epoch,val/ua\n1,0.25\n2,0.625\n")
        a_result(metrics={"test/ua": 0.7}).write(folder)
    log = log_path(study, job(2))
    log.parent.mkdir(parents=True)
    log.write_text("done\n")
    running, finished = (details(entry, study) for entry in entries(study))
    title = {"model": "caf", "protocol": "loso4", "fold": "1", "seed": "3"}
    assert running.title == title
    assert (running.epoch, running.val_ua, running.test_ua) == (2, 0.625, None)
    assert running.log is None
    assert abs(running.started - datetime.now(UTC)) < timedelta(minutes=1)
    assert finished.title == {**title, "fold": "2"}
    assert (finished.test_ua, finished.log) == (0.7, log)


def test_details_of_what_has_hardly_begun(study):
    write_plan(study, [job(1)])
    put(study, "a", state="running")
    begun, waiting = (details(entry, study) for entry in entries(study))
    assert (begun.title, begun.started, begun.epoch, begun.val_ua) == ({}, None, None, None)
    assert waiting.title == {
        "model": "late_fusion", "protocol": "loso4", "fold": "1", "seed": "3",
    }  # fmt: skip


def test_plain_records_are_json(study):
    write_plan(study, [job(1)])
    put(study, "a", state="interrupted", slurm="7", heartbeat="2026-01-02T03:04:05+00:00")
    run, waiting = json.loads(json.dumps([as_json(entry, study) for entry in entries(study)]))
    assert (run["key"], run["job"], run["slurm"]) == ("a", None, "7")
    assert run["heartbeat"] == "2026-01-02T03:04:05+00:00"
    assert (waiting["key"], waiting["job"], waiting["fold"]) == (None, job(1).id, "1")


def test_nothing_that_takes_time_is_imported():
    script = (
        "import sys, sermm.sweeps.study, sermm.cli.status\n"
        "heavy = {'torch', 'hydra', 'polars', 'numpy', 'jaxtyping'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr


def test_jobs_without_a_folder_of_their_own_are_told_by_their_notes(study):
    jobs = [job(fold) for fold in range(1, 5)]
    write_plan(study, jobs)
    put(study, "a", state="finished", job="other words")
    write_note(study, jobs[0].words, Note(key="a"))
    write_note(study, jobs[1].words, Note(error="fold 2 of 1", left_out=True))
    write_note(study, jobs[2].words, Note(error="no such corpus"))
    told = [(e.state, e.name, e.reason) for e in entries(study)]
    assert told == [
        ("finished", "a", ""),
        ("failed", jobs[2].id, "no such corpus"),
        ("waiting", jobs[3].id, ""),
    ]
    # What was refused may be submitted again when its cause is gone; the others are settled.
    assert missing(study) == jobs[2:]
    write_note(study, jobs[2].words, Note(begun="key of a folder that is not there yet"))
    assert [e.state for e in entries(study)] == ["finished", "waiting", "waiting"]


def test_a_run_that_is_in_no_sweep_leaves_no_note(study):
    write_note(study, job(1).words, Note(key="a"))
    assert list(study.iterdir()) == []
