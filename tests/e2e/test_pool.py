"""Sweeps through the pool, as a user starts them: failures, resuming, stopping, devices."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sermm.runs.plans import read_note

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def start(words):
    return subprocess.Popen(
        [sys.executable, "-m", "sermm.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(words):
    process = start(words)
    output, errors = process.communicate(timeout=400)
    return process.returncode, output, errors


def states(study):
    found = [json.loads(path.read_text()) for path in study.glob("*/status.json")]
    return sorted(status["state"] for status in found)


def alive(word):
    """The command lines of processes that hold this word."""
    found = subprocess.run(["pgrep", "-af", word], capture_output=True, text=True, check=False)
    return [line for line in found.stdout.splitlines() if "pgrep" not in line]


@pytest.fixture
def sweep(train_words, tmp_path):
    """Four jobs on two slots, in a folder with a space in its name."""
    runs = tmp_path / "my runs"
    other = ("runs_dir=", "hydra/launcher=")
    kept = [word for word in train_words[1:] if not word.startswith(other)]
    words = ["train", "-m", *kept, f"runs_dir='{runs}'", "study=pooled", "model=speech_only"]
    return runs / "pooled", [*words, "hydra.launcher.cpu_slots=2"]


def test_one_job_that_fails_stops_no_other_and_the_same_command_goes_on(sweep):
    study, words = sweep
    words = [*words, "fold=1,2", "model.system.branch.width=8,-8"]
    status, output, errors = finish(words)
    assert status == 1, errors
    # What is refused before it has begun leaves a note, and no run that failed.
    assert states(study) == ["finished", "finished"]
    notes = [read_note(study, path.stem) for path in (study / ".sweeps/notes").glob("*.json")]
    assert ["width=-8" in note.error for note in notes if note.error] == [True, True]
    assert errors.count("FAILED") == 4
    assert "LinearBranch(width=-8, dropout=0.2)" in errors
    assert "/.sweeps/logs/" in errors
    assert output.count("test UA") == 2
    jobs = {json.loads(p.read_text())["job"] for p in study.glob("*/status.json")}
    plan = [json.loads(path.read_text()) for path in (study / ".sweeps").glob("*.json")]
    assert (len(jobs), len(plan[0]["jobs"])) == (2, 4)
    assert {path.stem for path in (study / ".sweeps" / "logs").glob("*.log")} > jobs

    before = {p: p.stat().st_mtime_ns for p in study.glob("*/result.json")}
    finish([word.replace("8,-8", "8,4") for word in words])
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert states(study).count("finished") == 4


def test_ctrl_c_leaves_every_run_resumable_and_no_process(sweep):
    study, words = sweep
    words = [*words, "fold=1,2,3", "trainer.max_epochs=40", "trainer.patience=null"]
    process = start(words)
    limit = time.monotonic() + 240
    while len(list(study.glob("*/metrics.csv"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "the same command goes on from here" in errors
    assert set(states(study)) <= {"interrupted", "finished"}
    assert "interrupted" in states(study)
    assert not alive(str(study.parent))
    done = {p: p.read_text().count("\n") - 1 for p in study.glob("*/metrics.csv")}
    status, _, errors = finish(words)
    assert status == 0, errors
    assert states(study) == ["finished"] * 3
    # They went on: the epochs that were done are there still, with those that came after.
    assert all(p.read_text().count("\n") - 1 == 40 for p in done)


def test_two_sweeps_of_one_study_share_its_runs(sweep):
    study, words = sweep
    words = [*words, "fold=1,2", "trainer.max_epochs=30", "trainer.patience=null"]
    first = start(words)
    limit = time.monotonic() + 240
    while len(list(study.glob("*/metrics.csv"))) < 2:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)
    status, _, errors = finish(words)
    # It fails nothing, waits for nothing, and touches nothing of the other's.
    assert status == 0, errors
    assert "FAILED" not in errors
    output, errors = first.communicate(timeout=300)
    assert first.returncode == 0, errors
    assert output.count("test UA") == 2
    assert states(study) == ["finished", "finished"]


def test_a_run_that_is_killed_is_a_failure_that_says_so(sweep):
    study, words = sweep
    process = start([*words, "fold=1,2", "trainer.max_epochs=60", "trainer.patience=null"])
    limit = time.monotonic() + 240
    while not (found := list(study.glob("*/metrics.csv"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)
    status = json.loads((found[0].parent / "status.json").read_text())
    os.kill(status["pid"], signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "SIGKILL, as when memory runs out" in errors
    assert states(study) == ["failed", "finished"]


def test_runs_whose_fork_server_is_killed_are_failures_and_resume(sweep):
    study, words = sweep
    words = [*words, "fold=1,2", "trainer.max_epochs=60", "trainer.patience=null"]
    process = start([*words, "trainer.num_workers=1"])
    limit = time.monotonic() + 240
    while len(found := list(study.glob("*/metrics.csv"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)
    status = json.loads((found[0].parent / "status.json").read_text())
    os.kill(int(Path(f"/proc/{status['pid']}/stat").read_text().split()[3]), signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "another process" not in errors
    assert errors.count("FAILED") == 4
    assert "the fork server that starts the jobs was killed" in errors
    assert states(study) == ["failed", "failed"]
    assert not alive(str(study.parent))
    done = {path: path.read_text() for path in found}
    status, _, errors = finish(words)
    assert status == 0, errors
    assert states(study) == ["finished", "finished"]
    # They went on: the epochs that were done are there still, but perhaps the last one.
    assert all(path.read_text().startswith(text.rsplit("\n", 2)[0]) for path, text in done.items())


def test_a_job_may_have_several_processes(sweep):
    study, words = sweep
    words = [*words, "fold=1,2", "trainer.devices=2", "hydra.launcher.cpu_slots=1"]
    status, _, errors = finish(words)
    assert status == 0, errors
    assert states(study) == ["finished", "finished"]
    assert not alive(str(study.parent))


def test_the_launcher_in_one_process_refuses_several_devices(sweep):
    _, words = sweep
    kept = [word for word in words if "cpu_slots" not in word]
    status, _, errors = finish([*kept, "fold=1,2", "trainer.devices=2", "hydra/launcher=basic"])
    assert status != 0
    assert "hydra/launcher=gpu_pool" in errors


def test_a_search_looks_at_validation_only_and_keeps_its_trials_in_a_file(sweep):
    study, words = sweep
    fixed = {"-m", "model.learning.lr=0.003"}
    words = [
        *(w for w in words if w not in fixed),
        "search=optuna",
        "model.learning.lr=interval(0.001, 0.01)",
    ]
    words += ["hydra.launcher.folds=[1,2]", "hydra.sweeper.n_trials=2", "study=pooled"]
    status, output, errors = finish(words)
    assert status == 0, errors
    assert "test UA" not in output
    assert output.count(": validation UA") == 4
    results = [json.loads(path.read_text()) for path in study.glob("*/result.json")]
    by_rate = {}
    for result in results:
        rate = result["settings"]["model.learning.lr"]
        by_rate.setdefault(rate, []).append(result["metrics"]["val/ua"])
    assert [len(values) for values in by_rate.values()] == [2, 2]
    best = OmegaConf.load(study / "optimization_results.yaml")
    assert best.best_value == pytest.approx(max(sum(v) / 2 for v in by_rate.values()))
    assert (study / "search.db").is_file()
    assert all(result["withheld"] for result in results)
    assert not [path for path in study.glob("*/*.*") if "test/ua" in path.read_text("latin1")]
    rows = [row for path in study.glob("*/predictions.csv") for row in path.read_text().split()]
    assert {row.split(",")[1] for row in rows} == {"split", "val"}
    assert "no finished run" not in output
    # What it ends with is a command that can be pasted.
    (command,) = (line.strip() for line in output.splitlines() if line.startswith("  sermm train"))
    status, made, errors = finish(shlex.split(command)[1:])
    assert status == 0, errors
    assert made.count(": test UA") == 5
    assert len(list(study.with_name("pooled-best").glob("*/result.json"))) == 5
    # The same command goes on from there.
    status, _, errors = finish(words)
    assert status == 0, errors
    assert len(list(study.glob("*/result.json"))) > len(results)
