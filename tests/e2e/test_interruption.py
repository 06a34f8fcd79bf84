"""Runs that are stopped: by Ctrl-C, by kill -9, by a second process; they resume exactly."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def start(words):
    command = [sys.executable, "-m", "sermm.cli.main", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=heed_ctrl_c,
    )


def heed_ctrl_c():
    """A shell starts background jobs with the signal ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(words):
    process = start(words)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def folder_of(runs, study):
    (folder,) = (runs / study).glob("[0-9a-f]*")
    return folder


def epochs_done(runs, study):
    found = list((runs / study).glob("*/metrics.csv"))
    return len(found[0].read_text().splitlines()) - 1 if found else 0


def wait_for_epoch(process, runs, study, n):
    limit = time.monotonic() + 240
    while epochs_done(runs, study) < n:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.fixture
def words(train_words):
    return [*train_words, "trainer.max_epochs=12", "trainer.patience=null"]


def test_interrupted_runs_resume_to_the_same_predictions_bit_for_bit(words, tmp_path):
    runs = tmp_path / "runs"
    finish([*words, "study=whole"])
    for study, number, state in (
        ("c", signal.SIGINT, "interrupted"),
        ("k", signal.SIGKILL, "running"),
    ):
        process = start([*words, f"study={study}"])
        wait_for_epoch(process, runs, study, 2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == (130 if number == signal.SIGINT else -9), errors
        folder = folder_of(runs, study)
        assert json.loads((folder / "status.json").read_text())["state"] == state
        assert not (folder / "result.json").exists()
        done = epochs_done(runs, study)
        assert 2 <= done < 12
        finish([*words, f"study={study}"])
        record = json.loads((folder / "result.json").read_text())
        assert record["epochs"]["last"] == 12
        for name in ("predictions.csv", "metrics.csv"):
            assert (folder / name).read_text() == (folder_of(runs, "whole") / name).read_text()


def test_killed_at_any_moment_never_leaves_what_counts_as_finished(words, tmp_path):
    runs = tmp_path / "runs"
    for n, delay_s in enumerate((0.0, 0.05, 0.2, 0.5, 1.0)):
        study = f"k{n}"
        process = start([*words, f"study={study}", "trainer.max_epochs=3"])
        while not list(runs.glob(f"{study}/*/config.yaml")) and process.poll() is None:
            time.sleep(0.005)
        time.sleep(delay_s)
        process.kill()
        process.communicate()
        folder = folder_of(runs, study)
        status = folder / "status.json"
        state = json.loads(status.read_text())["state"] if status.exists() else None
        assert (state == "finished") == (folder / "result.json").exists() or state == "running"
        finish([*words, f"study={study}", "trainer.max_epochs=3"])
    texts = {(folder_of(runs, f"k{n}") / "predictions.csv").read_text() for n in range(5)}
    assert len(texts) == 1


def test_a_second_process_leaves_a_running_one_alone(words, tmp_path):
    runs = tmp_path / "runs"
    first = start([*words, "trainer.max_epochs=200", "study=s"])
    wait_for_epoch(first, runs, "s", 1)
    second = start([*words, "trainer.max_epochs=200", "study=s"])
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 2
    assert "another process" in errors
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=120)
    assert first.returncode == 130
