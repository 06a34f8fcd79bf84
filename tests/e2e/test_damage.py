"""Runs whose checkpoints are damaged, whose numbers are none, and whose words are wrong."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from sermm.cli.main import main
from sermm.engine.training.callbacks import EpochProgress

KEPT = ("predictions.csv", "metrics.csv")


def folder_of(runs):
    (folder,) = (runs / "default").glob("[0-9a-f]*")
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def emptied(path):
    path.write_bytes(b"")


def scribbled(path):
    path.write_bytes(bytes(range(256)) * 40)


def flipped(path):
    """One byte of a tensor, which torch itself would not notice."""
    found = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        largest = max(file.infolist(), key=lambda one: one.file_size)
    found[largest.header_offset + 200 + largest.file_size // 2] ^= 0x40
    path.write_bytes(found)


def replaced(path):
    torch.save({"weights": torch.zeros(3)}, path)


def executing(path):
    torch.save({"state": Path("/tmp")}, path)


def stop_after(monkeypatch, epoch):
    """Stops a run when the epoch has been kept."""
    show = EpochProgress.on_train_epoch_end

    def on_train_epoch_end(self, trainer, pl_module):
        show(self, trainer, pl_module)
        if trainer.current_epoch + 1 == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(EpochProgress, "on_train_epoch_end", on_train_epoch_end)


def test_a_run_with_a_damaged_checkpoint_comes_to_the_same(
    train_words, tmp_path, capsys, monkeypatch
):
    words = [*train_words, "trainer.max_epochs=4", "trainer.patience=null"]
    whole, stopped, again = (tmp_path / name for name in ("whole", "stopped", "again"))
    assert main([*words, f"runs_dir={whole}"]) == 0
    expected = [(folder_of(whole) / name).read_bytes() for name in KEPT]
    left = {path.name for path in (folder_of(whole) / "checkpoints").iterdir()}
    assert left == {"best.ckpt"}
    with monkeypatch.context() as patched:
        stop_after(patched, 3)
        assert main([*words, f"runs_dir={stopped}"]) == 130

    def resumed(*damages):
        shutil.rmtree(again, ignore_errors=True)
        shutil.copytree(stopped, again)
        folder = folder_of(again) / "checkpoints"
        for damage, name in damages:
            damage(folder / name)
        capsys.readouterr()
        assert main([*words, f"runs_dir={again}"]) == 0
        assert [(folder_of(again) / name).read_bytes() for name in KEPT] == expected
        said = capsys.readouterr().err
        assert "weights_only" not in said
        return [line for line in said.splitlines() if "damaged" in line]

    assert resumed() == []
    for damage in (cut, emptied, scribbled, flipped, replaced, executing):
        (line,) = resumed((damage, "last.ckpt"))
        assert "last.ckpt is damaged (" in line or "last.ckpt is damaged:" in line
        assert line.endswith("the run goes on from the epoch before")
    assert resumed((Path.unlink, "last.ckpt")) == []
    lines = resumed((cut, "last.ckpt"), (emptied, "before.ckpt"))
    assert lines[-1].endswith("the run starts anew")
    (line,) = resumed((flipped, "best.ckpt"))
    assert "best.ckpt" in line
    assert line.endswith("the run starts anew")


def test_weights_of_a_finished_run_that_are_damaged_are_named_in_one_line(
    train_words, tmp_path, capsys
):
    assert main([*train_words, "trainer.max_epochs=1"]) == 0
    run = folder_of(tmp_path / "runs")
    flipped(run / "checkpoints/best.ckpt")
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "best.ckpt is damaged: a wrong checksum" in line
    assert "remove its folder and train it again" in line


def test_a_run_that_diverges_fails_again_and_again(train_words, tmp_path, capsys):
    words = [*train_words, "model.learning.lr=1e30", "trainer.clip_norm=null"]
    for _ in range(2):
        assert main(words) == 2
        assert "training diverged: " in capsys.readouterr().err
        run = folder_of(tmp_path / "runs")
        status = json.loads((run / "status.json").read_text())
        assert status["state"] == "failed"
        assert "epoch 1 is no finite number" in status["error"]
        assert not (run / "predictions.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+model.system.widht=3"], "takes no widht"),
        (["+encoder.text.widht=3"], "takes no widht; it takes width"),
        (["trainer.accelerator=gpu"], "torch finds no GPU here"),
        (["model.system.branch.width=-3"], "(branch=LinearBranch(width=-3, dropout=0.2), "),
        (["encoder/text=tiny", "encoder.text.heads=5"], "heads=5"),
        (["encoder/speech=demo", "encoder.speech.layers=[99]"], "encoder.speech.layers="),
        (["encoder/speech=demo", "features.trainable=9"], ".trainable=9: expected"),
        (["features=frozen", "features.checkpointing=true"], "features.checkpointing=true"),
    ],
)
def test_a_wrong_value_leaves_no_run_behind(
    train_words, tmp_path, capsys, monkeypatch, words, said
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    mfcc = [word for word in train_words if not word.startswith("encoder.speech.")]
    assert main([*mfcc, *words]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("sermm train: ")
    assert said in last
    assert not list((tmp_path / "runs/default").glob("[0-9a-f]*"))
