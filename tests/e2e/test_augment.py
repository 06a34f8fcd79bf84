"""Augmented training and recognition beside emotion, as a user types it, inside this process."""

import json

import pytest

from sermm.cli.main import main

NOISE = "augment.noise={p: 1.0, snr_db: [0, 5], root: null}"


def made(runs, study):
    (path,) = (runs / study).glob("*/result.json")
    figures = (path.parent / "metrics.csv").read_text()
    predictions = (path.parent / "predictions.csv").read_text()
    return json.loads(path.read_text()), figures, predictions


@pytest.fixture
def words(train_words):
    return [*train_words, "model=speech_only", "trainer.max_epochs=2"]


def test_augmentation_is_told_recorded_and_repeatable(words, tmp_path, capsys):
    for study, more in (("clean", []), ("noisy", [NOISE]), ("again", [NOISE])):
        assert main([*words, f"study={study}", *more]) == 0
    told = capsys.readouterr().err
    assert told.count("augmented in training: noise (p 1.0, snr_db [0, 5], root None)") == 2
    clean, noisy, again = (made(tmp_path / "runs", study) for study in ("clean", "noisy", "again"))
    assert clean[0]["augment"] is None
    assert noisy[0]["augment"] == {"noise": {"p": 1.0, "snr_db": [0, 5], "root": None}}
    assert clean[0]["key"] != noisy[0]["key"] == again[0]["key"]
    assert clean[1:] != noisy[1:] == again[1:]


def test_a_system_without_audio_is_not_augmented_and_says_so(words, tmp_path, capsys):
    assert main([*words, "model=text_only", "augment=speech"]) == 0
    assert "augmented in training: nothing, text_only reads no audio" in capsys.readouterr().err
    assert made(tmp_path / "runs", "default")[0]["augment"] is None


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["features=cached", "augment=speech"], "augment=none"),
        (["augment=speech", "augment.noise.root=/nowhere"], "augment.noise.root=/nowhere"),
        (["augment=speech", "augment.gain.db=[2,1]"], "augment.gain.db=[2, 1]"),
    ],
)
def test_wrong_augmentation_is_one_line_and_exit_status_2(words, capsys, more, says):
    assert main([*words, *more]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in error
    assert "Traceback" not in error


@pytest.mark.parametrize("features", ["finetune", "frozen", "cached"])
def test_cmgi_learns_characters_as_it_is_shipped(
    corpus_words, save_encoders, tmp_path, features, capsys
):
    speech, text = save_encoders(tmp_path)
    words = ["train", *corpus_words, f"runs_dir={tmp_path / 'runs'}", "model=cmgi"]
    words += [f"encoder.speech.id={speech}", f"encoder.text.id={text}", "trainer.accelerator=cpu"]
    words += [f"features={features}", f"cache_dir={tmp_path / 'cache'}", "trainer.max_epochs=2"]
    assert main([*words, "trainer.patience=null"]) == 0
    _, figures, _ = made(tmp_path / "runs", "default")
    rows = [line.split(",") for line in figures.splitlines()]
    losses = [float(row[rows[0].index("train/ctc")]) for row in rows[1:]]
    assert 0 < losses[1] < losses[0]
