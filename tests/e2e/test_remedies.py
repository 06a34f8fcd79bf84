"""Remedies against overfitting, as a user types them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sermm.cli.main import main
from sermm.configuration.compose import conf_dir
from sermm.configuration.verbs import RunConfig
from sermm.data.augment.wordnet import DEBIAN
from sermm.engine.assembly.encoders import encoded_by, encoder_configs
from sermm.models.base import CountingSystem

ALL = ["remedies=li2025", "remedies.modality_dropout={p: 0.5, fill: learned}"]
NOISE = "augment.noise={p: 0.5, snr_db: [10, 30], root: null}"
SYNONYMS = "augment.synonyms={p: 0.5, wordnet: null}"
TINY = [
    "encoder/speech=tiny",
    "encoder/text=tiny",
    "encoder.speech.width=8",
    "encoder.text.width=8",
]
FAKE = {"furious": ("fierce", "savage"), "glad": ("happy",), "today": ("now",)}
wordnet = pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="WordNet is not installed (Debian package wordnet-base)"
)


def of_both():
    """The models that learn from speech and text."""
    found = []
    for name in sorted(p.stem for p in (conf_dir() / "model").glob("*.yaml") if p.stem[0] != "_"):
        model = RunConfig.of([f"model={name}", *TINY[:2]]).model
        encoded = {encoded_by(one) for one in encoder_configs(model).values()}
        counts = issubclass(model.system.object, CountingSystem)
        if encoded == {"speech", "text"} and not counts:
            found.append(name)
    assert "late_fusion" in found
    return found


@pytest.fixture
def thesaurus(monkeypatch):
    """Stands in for WordNet."""
    monkeypatch.setattr("sermm.data.augment.synonyms.folder_of", lambda given: Path("/fake"))
    monkeypatch.setattr(
        "sermm.data.augment.synonyms.synonyms",
        lambda folder, words: {word: FAKE[word] for word in words if word in FAKE},
    )


def result_of(runs, study="default"):
    (path,) = (runs / study).glob("*/result.json")
    return path


def made(runs, study="default"):
    path = result_of(runs, study)
    with (path.parent / "metrics.csv").open(newline="") as file:
        figures = list(csv.DictReader(file))
    predictions = (path.parent / "predictions.csv").read_text()
    return json.loads(path.read_text()), figures, predictions


def tiny(corpus_words, tmp_path, *more):
    places = [f"runs_dir={tmp_path / 'runs'}", "trainer.accelerator=cpu", "trainer.max_epochs=1"]
    return ["train", *corpus_words, *places, *TINY, *more]


@pytest.mark.slow
@pytest.mark.parametrize("model", of_both())
def test_every_system_of_both_modalities_takes_every_remedy(
    model, corpus_words, tmp_path, thesaurus, capsys
):
    more = [f"model={model}", *ALL, NOISE, "augment.synonyms={p: 0.5, wordnet: /fake}"]
    assert main(tiny(corpus_words, tmp_path, *more)) == 0
    told = capsys.readouterr().err
    assert "remedies in training: contrastive (kind infonce, weight 0.1" in told
    assert "modality_dropout (p 0.5, fill learned)" in told
    assert "reworded in training: synonyms (p 0.5, wordnet /fake) of 3 of 7 different" in told
    result, figures, _ = made(tmp_path / "runs")
    assert set(result["augment"]) == {"noise", "synonyms"}
    assert set(result["remedies"]) == {"contrastive", "modality_dropout"}
    assert float(figures[0]["train/contrastive"]) > 0
    folder = tmp_path / "runs" / "default" / result["key"]
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert sum(key.endswith(".fill") for key in best) >= 2
    assert not any("objectives" in key for key in best)
    assert main(["evaluate", str(folder), "split=test"]) == 0


def test_remedies_change_the_run_and_its_key_and_are_off_by_default(
    corpus_words, tmp_path, thesaurus
):
    for study, more in (
        ("none", []),
        ("dropout", ["remedies.modality_dropout={p: 0.3, fill: zero}"]),
        (
            "contrastive",
            ["remedies.contrastive={kind: supervised, weight: 1, temperature: 1, width: 4}"],
        ),
        ("words", ["augment.synonyms={p: 0.9, wordnet: null}"]),
    ):
        assert main(tiny(corpus_words, tmp_path, f"study={study}", *more)) == 0
    runs = tmp_path / "runs"
    found = {one.name: made(runs, one.name) for one in runs.iterdir()}
    assert len({result["key"] for result, _, _ in found.values()}) == 4
    assert len({predictions for _, _, predictions in found.values()}) == 4
    none = found["none"][0]
    assert none["remedies"] is None
    assert none["augment"] is None
    assert found["dropout"][0]["remedies"] == {"modality_dropout": {"p": 0.3, "fill": "zero"}}
    assert "train/contrastive" not in found["none"][1][0]


def test_a_weight_near_zero_changes_nothing_else(corpus_words, tmp_path):
    light = "remedies.contrastive={kind: infonce, weight: 1.0e-30, temperature: 0.07, width: 4}"
    more = ["trainer.clip_norm=null"]
    for study, words in (("without", []), ("with", [light])):
        assert main(tiny(corpus_words, tmp_path, f"study={study}", *more, *words)) == 0
    without, with_ = (made(tmp_path / "runs", study) for study in ("without", "with"))
    assert without[2] == with_[2]


def test_stored_features_are_lost_and_contrasted_too(corpus_words, save_encoders, tmp_path, capsys):
    speech, text = save_encoders(tmp_path)
    words = ["train", *corpus_words, f"runs_dir={tmp_path / 'runs'}", "trainer.accelerator=cpu"]
    words += [f"encoder.speech.id={speech}", f"encoder.text.id={text}", "trainer.max_epochs=2"]
    words += ["features=cached", "features.normalise=global", f"cache_dir={tmp_path / 'cache'}"]
    for study, more in (("plain", []), ("cured", ALL)):
        assert main([*words, f"study={study}", *more]) == 0
    plain, cured = (made(tmp_path / "runs", study) for study in ("plain", "cured"))
    assert plain[2] != cured[2]
    assert all(float(row["train/contrastive"]) > 0 for row in cured[1])
    # Predicts with the live encoders, which are wrapped alike.
    folder = tmp_path / "runs" / "cured" / cured[0]["key"]
    assert main(["evaluate", str(folder), "split=test"]) == 0
    (again,) = (folder / "evaluations").glob("*/result.json")
    metrics = json.loads(again.read_text())["metrics"]
    assert metrics["test/ua"] == pytest.approx(cured[0]["metrics"]["test/ua"])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["model=lookup", *ALL], "remedies in training: nothing, lookup counts"),
        (["model=lookup", "augment.synonyms={p: 1, wordnet: /fake}"], "lookup learns from no text"),
        (
            ["model=speech_only", "augment.synonyms={p: 1, wordnet: /fake}"],
            "reworded in training: nothing, speech_only learns from no text",
        ),
    ],
)
def test_what_a_system_cannot_have_is_said(corpus_words, tmp_path, thesaurus, capsys, more, says):
    assert main(tiny(corpus_words, tmp_path, *more)) == 0
    assert says in capsys.readouterr().err
    result = json.loads(result_of(tmp_path / "runs").read_text())
    assert result["remedies"] is None
    assert result["augment"] is None


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["model=speech_only", *ALL], "speech_only reads no text"),
        (["remedies=li2025", "remedies.contrastive.kind=near"], "contrastive.kind=near"),
        (["augment.synonyms={p: 1, wordnet: /nowhere}"], "Debian package wordnet-base"),
        (["augment.synonyms={p: 2, wordnet: null}"], "augment.synonyms.p=2"),
        (
            ["features=cached", "augment.synonyms={p: 1, wordnet: null}"],
            "augment.synonyms=null",
        ),
    ],
)
def test_wrong_remedies_are_one_line_and_exit_status_2(corpus_words, tmp_path, capsys, more, says):
    assert main(tiny(corpus_words, tmp_path, *more)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in error
    assert "Traceback" not in error


def started(words):
    command = [sys.executable, "-m", "sermm.cli.main", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finished(words):
    process = started(words)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "more",
    [
        pytest.param([NOISE], id="remedies"),
        pytest.param([NOISE, SYNONYMS, "trainer.num_workers=2"], id="words", marks=wordnet),
    ],
)
def test_a_killed_run_resumes_to_the_same_predictions_bit_for_bit(train_words, tmp_path, more):
    words = [*train_words, *ALL, *more, "trainer.max_epochs=8", "trainer.patience=null"]
    runs = tmp_path / "runs"
    finished([*words, "study=whole"])
    process = started([*words, "study=killed"])
    limit = time.monotonic() + 240
    while not any(
        len(path.read_text().splitlines()) > 2 for path in runs.glob("killed/*/metrics.csv")
    ):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(runs.glob("killed/*/result.json"))
    (last,) = runs.glob("killed/*/checkpoints/last.ckpt")
    kept = torch.load(last, weights_only=True)["state_dict"]
    assert "objectives.contrastive.speech.weight" in kept
    finished([*words, "study=killed"])
    whole, killed = made(runs, "whole"), made(runs, "killed")
    assert killed[1:] == whole[1:]
    assert killed[0]["epochs"]["last"] == 8
