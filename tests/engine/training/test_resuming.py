"""What an encoder draws in training is drawn again by a run that is resumed."""

import csv

import numpy as np
import pytest
import soundfile

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
