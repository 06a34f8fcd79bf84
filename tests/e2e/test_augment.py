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
    words = cmgi_words(corpus_words, save_encoders, tmp_path)
    words += [f"features={features}", "trainer.max_epochs=2", "trainer.patience=null"]
    assert main(words) == 0
    losses = ctc_losses(tmp_path / "runs")
    assert 0 < losses[1] < losses[0]
    assert "CTC" not in capsys.readouterr().err


@pytest.mark.parametrize("features", ["frozen", "cached"])
def test_what_is_cut_is_no_target_of_recognition_and_is_told(
    corpus_words, save_encoders, tmp_path, features, capsys
):
    words = cmgi_words(corpus_words, save_encoders, tmp_path)
    words += [f"features={features}", "trainer.max_epochs=1", "trainer.max_seconds=0.2"]
    assert main(words) == 0
    assert ctc_losses(tmp_path / "runs") == [0]
    told = capsys.readouterr().err
    assert "60 utterances are cut at 0.2 s, and are left out of the CTC loss\n" in told


def cmgi_words(corpus_words, save_encoders, tmp_path):
    speech, text = save_encoders(tmp_path)
    words = ["train", *corpus_words, f"runs_dir={tmp_path / 'runs'}", "model=cmgi"]
    words += [f"encoder.speech.id={speech}", f"encoder.text.id={text}", "trainer.accelerator=cpu"]
    return [*words, f"cache_dir={tmp_path / 'cache'}"]


def ctc_losses(runs):
    _, figures, _ = made(runs, "default")
    rows = [line.split(",") for line in figures.splitlines()]
    return [float(row[rows[0].index("train/ctc")]) for row in rows[1:]]
