"""Several processes train one run: the same command with `trainer.devices`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest


@pytest.mark.slow
def test_two_processes_train_one_run_and_one_predicts_everything(train_words, tmp_path):
    words = [*train_words, "trainer.devices=2", "trainer.batch_size=8", "trainer.max_epochs=2"]
    done = subprocess.run(
        [Path(sys.executable).parent / "sermm", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs/default").glob("[0-9a-f]*")
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    predictions = pl.read_csv(run / "predictions.csv")
    assert predictions["utterance_id"].n_unique() == len(predictions) == 24
    assert len(pl.read_csv(run / "metrics.csv")) == 2
