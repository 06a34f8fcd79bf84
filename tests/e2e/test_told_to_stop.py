"""Runs outside Slurm that get the signals of preemption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def start(words):
    command = [sys.executable, "-m", "sermm.cli.main", *words]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(words):
    process = start(words)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def folder_of(runs, study):
    (folder,) = (runs / study).glob("[0-9a-f]*")
    return folder


def wait_for_epoch(process, runs, study, n):
    limit = time.monotonic() + 240
    done = 0
    while done < n:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.01)
        found = list((runs / study).glob("*/metrics.csv"))
        done = len(found[0].read_text().splitlines()) - 1 if found else 0


def alive(session):
    """Processes of the session that are not zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(path.name)) == session:
                state = path.joinpath("stat").read_text().rsplit(")")[-1].split()[0]
                found += [path.name] if state != "Z" else []
        except (ProcessLookupError, FileNotFoundError):
            continue
    return found


@pytest.fixture
def words(train_words):
    return [*train_words, "trainer.patience=null"]


def test_a_run_with_workers_stops_and_resumes_to_the_same_predictions(words, tmp_path):
    runs = tmp_path / "runs"
    words = [*words, "trainer.num_workers=1", "trainer.max_epochs=8"]
    finish([*words, "study=whole"])
    process = start([*words, "study=stopped"])
    wait_for_epoch(process, runs, "stopped", 2)
    # As Slurm does it: the workers get the signal too.
    os.killpg(process.pid, signal.SIGUSR1)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    folder = folder_of(runs, "stopped")
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["slurm"]) == ("interrupted", None)
    assert status["error"] == "stopped by SIGUSR1; run it again to resume"
    finish([*words, "study=stopped"])
    for name in ("predictions.csv", "metrics.csv"):
        assert (folder / name).read_text() == (folder_of(runs, "whole") / name).read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_of_a_run_on_two_devices_is_left(words, tmp_path, number):
    runs = tmp_path / "runs"
    more = ["trainer.devices=2", "trainer.batch_size=4", "trainer.max_epochs=500", "study=two"]
    process = start([*words, *more])
    wait_for_epoch(process, runs, "two", 1)
    assert len(alive(process.pid)) >= 2
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == (130 if number == signal.SIGTERM else -9)
    limit = time.monotonic() + 10
    while alive(process.pid) and time.monotonic() < limit:
        time.sleep(0.1)
    assert alive(process.pid) == []
    state = json.loads((folder_of(runs, "two") / "status.json").read_text())["state"]
    assert state == ("interrupted" if number == signal.SIGTERM else "running")
