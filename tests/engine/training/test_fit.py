"""Training: modes, fine-tuning in little memory, and running out of it."""

import csv
import json
import logging

import numpy as np
import pytest
import soundfile
import torch
from lightning import Callback

from sermm.bench.epoch import speech_task
from sermm.cli.main import main
from sermm.core.errors import InputError
from sermm.demo.encoders import checkpoint
from sermm.engine.training.fit import fit, monitored
from sermm.engine.training.learner import Learner

MFCC = ("n_mfcc", "centred", "pitch", "augment", "channels", "stride", "hidden")
OOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Modes(Callback):
    """Notes which modules are not in training mode while training."""

    def __init__(self) -> None:
        self.seen: list[bool] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.seen.append(all(m.training for m in pl_module.system.modules()))


def test_a_system_that_comes_in_evaluation_mode_is_trained_in_training_mode(tmp_path):
    task = speech_task(tmp_path, 16, ["trainer.max_epochs=1"])
    task.system.eval()
    modes = Modes()
    keeper = fit(task, [modes])
    assert modes.seen
    assert all(modes.seen)
    assert (keeper.best_epoch, keeper.last_epoch) == (1, 1)


@pytest.mark.parametrize(
    ("monitor", "figure"),
    [("headline", "val/ua"), ("loss", "val/loss"), ("wa", "val/wa"), ("f1_macro", "val/f1_macro")],
)
def test_what_chooses_the_epoch(monitor, figure):
    assert monitored(monitor, "ua") == figure


class Gradients(Callback):
    """Keeps the gradients of the last step."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        named = pl_module.system.named_parameters()
        self.found = {name: p.grad.clone() for name, p in named if p.grad is not None}


def tuned(root, *more):
    """Eight clips for a pre-trained encoder of four layers, fine-tuned without dropout."""
    words = [
        "encoder/speech=hf",
        f"encoder.speech.id={checkpoint(root / 'checkpoints', 'speech')}",
        "model=speech_only",
        *(f"~encoder.speech.{name}" for name in MFCC),
        "trainer.max_epochs=1",
        "trainer.clip_norm=null",
        "trainer.max_seconds=1.0",
        *more,
    ]
    # The name of the folder is of no account: what is drawn follows from the seed.
    task = speech_task(root / "_".join(more).replace("/", "_"), 16, words)
    for module in task.system.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif hasattr(module, "q_proj"):
            module.dropout = 0.0
    return task


def gradients(task):
    kept = Gradients()
    fit(task, [kept])
    return kept.found


@pytest.fixture
def whole(tmp_path):
    """The gradients of one batch of eight."""
    return gradients(tuned(tmp_path, "trainer.batch_size=8"))


@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_two_batches_of_four_are_one_of_eight(whole, tmp_path, checkpointing):
    task = tuned(
        tmp_path,
        "trainer.batch_size=4",
        "trainer.accumulate=2",
        f"features.checkpointing={checkpointing}",
    )
    torch.testing.assert_close(gradients(task), whole, rtol=1e-5, atol=1e-6)


def test_half_precision_trains_the_encoder_in_much_the_same_direction(whole, tmp_path):
    task = tuned(tmp_path, "trainer.batch_size=8", "trainer.precision=bf16-mixed")
    half = gradients(task)
    assert half.keys() == whole.keys()
    a, b = (torch.cat([g[name].flatten() for name in whole]) for g in (half, whole))
    assert torch.cosine_similarity(a, b, dim=0) > 0.99
    assert {p.dtype for p in task.system.parameters()} == {torch.float32}


@pytest.mark.parametrize("frozen", [True, False])
def test_the_front_end_is_trained_only_if_it_is_not_frozen(tmp_path, frozen):
    word = f"encoder.speech.freeze_front_end={str(frozen).lower()}"
    found = gradients(tuned(tmp_path, "trainer.batch_size=8", word))
    assert any(".feature_extractor." in name for name in found) != frozen
    assert any(".encoder.layers.0." in name for name in found)


def test_out_of_memory_names_three_settings(tmp_path, monkeypatch):
    def forward(_learner, _batch):
        raise OOM

    task = tuned(tmp_path, "trainer.batch_size=4")
    monkeypatch.setattr(Learner, "forward", forward)
    with pytest.raises(InputError, match=r"ran out in training \(CUDA out of memory") as caught:
        fit(task)
    for setting in (
        "trainer.batch_size=2 trainer.accumulate=2",
        "features.checkpointing=true",
        "features.trainable=4",
    ):
        assert setting in str(caught.value)


@pytest.fixture
def manifest(tmp_path):
    """Twenty clips of noise of five talkers."""
    rng = np.random.default_rng(0)
    with (tmp_path / "noise.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker", "text"])
        for talker in range(5):
            for label in ("ang", "hap", "neu", "sad"):
                name = f"{talker}{label}.wav"
                clip = 0.1 * rng.standard_normal(8000)
                soundfile.write(tmp_path / name, clip.astype("float32"), 16000)
                rows.writerow([name, label, f"t{talker}", "so it is"])
    return tmp_path / "noise.csv"


def test_a_sweep_goes_on_after_a_run_that_ran_out_of_memory(
    manifest, tmp_path, monkeypatch, capsys
):
    step = Learner.training_step

    def training_step(learner, batch, batch_idx):
        if len(batch) > 2:
            raise OOM
        return step(learner, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", training_step)
    # Hydra's handler of an earlier test writes to that test's output, which is closed by now.
    monkeypatch.setattr(logging, "raiseExceptions", False)
    words = ["data=manifest", f"data.manifest={manifest}", "data.name=noise", "protocol=groups5"]
    words += ["encoder/speech=tiny", "model=speech_only"]
    words += ["trainer.max_epochs=1", "trainer.accelerator=cpu", f"runs_dir={tmp_path / 'runs'}"]
    words += ["hydra/launcher=basic"]
    assert main(["train", "-m", *words, "trainer.batch_size=4,2"]) == 1
    said = capsys.readouterr()
    assert "FAILED speech_only on noise" in said.err
    assert "Traceback" not in said.err
    states = [json.loads(p.read_text()) for p in (tmp_path / "runs").rglob("status.json")]
    assert sorted(s["state"] for s in states) == ["failed", "finished"]
    error = next(s["error"] for s in states if s["state"] == "failed")
    assert "trainer.batch_size=2 trainer.accumulate=2" in error
    assert error.count("Traceback") == 1
