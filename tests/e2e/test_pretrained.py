"""Hugging Face checkpoints in folders, as a hub or a user would give them: trained, used, moved."""

import json
import shutil

import pytest
import torch

from sermm.cli.main import main


@pytest.fixture
def folders(save_encoders, tmp_path):
    return save_encoders(tmp_path)


@pytest.fixture
def words(corpus_words, folders, tmp_path):
    speech, text = folders
    given = [f"encoder.speech.id={speech}", f"encoder.text.id={text}", "encoder.speech.layers=all"]
    more = ["trainer.max_epochs=1", "trainer.accelerator=cpu", f"runs_dir={tmp_path / 'runs'}"]
    return ["train", *corpus_words, *given, *more]


@pytest.mark.parametrize(
    ("features", "kept"),
    [("features=finetune", True), ("features.trainable=1", True), ("features=frozen", False)],
)
def test_a_run_is_used_later_with_or_without_its_encoders(
    words, folders, tones, tmp_path, capsys, features, kept
):
    assert main([*words, features]) == 0
    (run,) = (tmp_path / "runs/default").glob("[0-9a-f]*")
    record = json.loads((run / "result.json").read_text())
    assert (record["parameters"]["trainable"] < record["parameters"]["total"]) or kept
    weights = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert any(n.startswith("streams.frame.") and ".hf." in n for n in weights) == kept
    capsys.readouterr()
    use = ["predict", str(run), str(tones.parent / "0sad1.wav"), "text=i am glad", "format=json"]
    assert main(use) == 0
    before = json.loads(capsys.readouterr().out)
    for folder in folders:
        shutil.move(folder, folder.with_name(f"{folder.name}-gone"))
    assert main(use) == (0 if kept else 2)
    captured = capsys.readouterr()
    if kept:
        assert json.loads(captured.out) == before
    else:
        assert any(str(folder) in captured.err for folder in folders)
