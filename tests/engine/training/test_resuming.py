"""What an encoder draws in training is drawn again by a run that is resumed."""

import csv
import shutil

import numpy as np
import pytest
import soundfile
import torch

from sermm.cli.main import main
from sermm.demo.encoders import checkpoint


@pytest.fixture
def words(tmp_path):
    """Twenty short clips of five talkers, a small pre-trained encoder that leaves out layers."""
    rng = np.random.default_rng(0)
    with (tmp_path / "noise.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker"])
        for talker in range(5):
            for label in ("ang", "hap", "neu", "sad"):
                clip = 0.1 * rng.standard_normal(3200)
                soundfile.write(tmp_path / f"{talker}{label}.wav", clip.astype("float32"), 16000)
                rows.writerow([f"{talker}{label}.wav", label, f"t{talker}"])
    return [
        *("train", "data=manifest", f"data.manifest={tmp_path / 'noise.csv'}", "data.name=noise"),
        *("protocol=groups5", "model=speech_only", "encoder/speech=hf", "features=finetune"),
        f"encoder.speech.id={checkpoint(tmp_path / 'checkpoints', 'speech')}",
        *("encoder.speech.layerdrop=0.5", "encoder.speech.spec_augment=true"),
        *("trainer.accelerator=cpu", "trainer.max_epochs=2", "trainer.batch_size=4"),
        *(f"runs_dir={tmp_path / 'runs'}", f"cache_dir={tmp_path / 'cache'}"),
        "hydra/launcher=basic",
    ]


def test_layers_left_out_are_the_same_after_a_stop(words, tmp_path, stopped_in):
    with stopped_in(2):
        assert main([*words, "study=stopped"]) == 130
    for study in ("stopped", "whole"):
        assert main([*words, f"study={study}"]) == 0
    for name in ("metrics.csv", "predictions.csv"):
        (one,), (other,) = ((tmp_path / "runs" / s).glob(f"*/{name}") for s in ("stopped", "whole"))
        assert one.read_text() == other.read_text()
    assert main([*words, "encoder.speech.layerdrop=null", "study=all_layers"]) == 0
    (other,) = (tmp_path / "runs/all_layers").glob("*/metrics.csv")
    assert other.read_text() != next((tmp_path / "runs/whole").glob("*/metrics.csv")).read_text()


@pytest.fixture
def adapted(words):
    """The same with an adapter, whose dropout draws; encoders leave out nothing of what stays."""
    return [*words, "encoder.speech.layerdrop=null", "encoder.speech.adapter=lora"]


def test_an_adapter_goes_on_as_it_was_and_is_all_that_is_kept(
    adapted, tmp_path, stopped_in, capsys
):
    adapted = [*adapted, "features.checkpointing=true"]
    with stopped_in(2):
        assert main([*adapted, "study=stopped"]) == 130
    (last,) = (tmp_path / "runs/stopped").glob("*/checkpoints/last.ckpt")
    state = torch.load(last, weights_only=True)["state_dict"]
    assert [n for n in state if ".hf." in n and ".lora_" not in n] == []
    for study in ("stopped", "whole"):
        assert main([*adapted, f"study={study}"]) == 0
    for name in ("metrics.csv", "predictions.csv"):
        (one,), (other,) = ((tmp_path / "runs" / s).glob(f"*/{name}") for s in ("stopped", "whole"))
        assert one.read_text() == other.read_text()
    run = next((tmp_path / "runs/whole").glob("*/result.json")).parent
    kept = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert sum(".lora_" in name for name in kept) == 4 * 2 * 2
    base = next((tmp_path / "checkpoints").glob("speech-*"))
    assert (run / "checkpoints/best.ckpt").stat().st_size < (
        (base / "model.safetensors").stat().st_size / 2
    )
    clip = str(tmp_path / "0ang.wav")
    assert main(["predict", str(run), clip]) == 0
    shutil.move(base, tmp_path / "gone")
    capsys.readouterr()
    assert main(["predict", str(run), clip]) == 2
    said = capsys.readouterr().err
    assert f"encoder.speech.id={base}: there is no such folder" in said
