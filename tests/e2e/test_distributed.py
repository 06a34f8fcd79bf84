"""Several processes train one run: the same command with `trainer.devices`."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sermm.cli.main import main

# What each of two processes does as torchrun would start it; run after run, as starting costs most.
PROCESS = """
import json, sys
from sermm.cli.main import main
for words in json.load(open(sys.argv[1])):
    try:
        status = main(words)
    except SystemExit as ended:
        status = ended.code
    if status:
        sys.exit(status)
"""
FINETUNE = ["features=finetune"]
MODES = {
    "cached": ["features=cached", "features.normalise=global"],
    "frozen": ["features=frozen"],
    "finetune": FINETUNE,
    "top": [*FINETUNE, "features.trainable=1", "features.checkpointing=true"],
    "mix": [*FINETUNE, "encoder.speech.layers=all", "encoder.text.layers=all"],
    # Nothing reads the layers above, so they have no gradient.
    "low": [*FINETUNE, "encoder.speech.layers=[1]", "encoder.text.layers=[1]"],
    "taught": [*FINETUNE, "teacher=frozen"],
}
# What looks at the batch of one device: norms of batches, pairs of utterances. Only that it runs.
OWN = {
    "remedies": [*FINETUNE, "remedies=li2025", "remedies.modality_dropout.fill=learned"],
    "varied": [*FINETUNE, "encoder.speech.spec_augment=true", "augment=speech"],
    # A layer that one device leaves out has no gradient there.
    "dropped": [*FINETUNE, "encoder.speech.layerdrop=0.5", "trainer.batching=random"],
}


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


@pytest.mark.slow
def test_two_processes_that_diverge_end_together_in_a_line_each(train_words):
    words = [*train_words, "model.learning.lr=1e30", "trainer.clip_norm=null", "trainer.devices=2"]
    done = subprocess.run(
        [Path(sys.executable).parent / "sermm", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2, done.stderr
    assert "sermm train: training diverged: the loss of step " in done.stderr
    assert "process 1 of the run: training diverged: the loss of step " in done.stderr
    assert "Traceback" not in done.stderr


def without_dropout(folder):
    """Each device draws its own, so what is compared has none."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({k: 0.0 if "dropout" in k else v for k, v in config.items()}))


@pytest.fixture
def pretrained(corpus_words, save_encoders, tmp_path):
    """Late fusion of small pre-trained encoders for an epoch, with nothing that is drawn."""
    speech, text = save_encoders(tmp_path)
    without_dropout(speech)
    without_dropout(text)
    return [
        *("train", *corpus_words, f"cache_dir={tmp_path / 'cache'}"),
        *("encoder/speech=hf", f"encoder.speech.id={speech}"),
        *("encoder/text=hf", f"encoder.text.id={text}"),
        *("model=late_fusion", "model.system.branch.dropout=0.0"),
        "model.learning.encoder_lr=0.001",
        *("trainer.accelerator=cpu", "trainer.max_epochs=1", "trainer.batch_size=3"),
    ]


def side_by_side(jobs, folder):
    """The runs on two processes each."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    of_both = {
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "none",
        **{"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"},
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(folder / "jobs.json")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **of_both, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]
    try:
        said = [process.communicate(timeout=500)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)


def probabilities(runs, study):
    (path,) = (runs / study).glob("*/predictions.csv")
    found = pl.read_csv(path).sort("utterance_id")
    return found.select(pl.col("^p_.*$")).to_numpy()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_mode_trains_on_two_devices_to_what_one_comes_to(pretrained, tmp_path, capsys):
    two, one = tmp_path / "two", tmp_path / "one"
    jobs = [
        [*pretrained, *words, f"study={name}", f"runs_dir={two}", "trainer.devices=2"]
        for name, words in {**MODES, **OWN}.items()
    ]
    side_by_side(jobs, tmp_path)
    for name, words in MODES.items():
        same = [*words, f"study={name}", f"runs_dir={one}", "trainer.accumulate=2"]
        assert main([*pretrained, *same]) == 0, capsys.readouterr().err
        np.testing.assert_allclose(
            probabilities(two, name), probabilities(one, name), rtol=1e-4, err_msg=name
        )
    assert {path.name for path in two.iterdir()} == {*MODES, *OWN}
