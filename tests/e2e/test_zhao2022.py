"""A table of the paper, cut down to two folds of the tones: sweep, combination, report."""

import csv
import json

import numpy as np
import pytest

from sermm.cli.main import main


@pytest.fixture(scope="module")
def encoders(tmp_path_factory, save_encoders):
    return save_encoders(tmp_path_factory.mktemp("encoders"))


def results(study):
    found = [json.loads(path.read_text()) for path in study.glob("*/result.json")]
    return {(r["model"], r["fold"]): r for r in found}


def test_probabilities(path):
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    names = [name for name in rows[0] if name.startswith("p_")]
    return np.array([[float(row[name]) for name in names] for row in rows])


test_probabilities.__test__ = False


def test_table_3_is_trained_combined_and_printed_by_one_command(
    encoders, corpus_words, tmp_path, capsys
):
    speech, text = encoders
    words = [
        *corpus_words,
        f"runs_dir={tmp_path / 'runs'}",
        "experiment=zhao2022/table3",
        "protocol=groups5",
        "encoder/speech=hf",
        f"encoder.speech.id={speech}",
        f"encoder.text.id={text}",
        "align.sources=[whole]",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=3",
        "fold=1,2",
        "seed=0",
    ]
    assert main(["train", *words]) == 0
    printed = capsys.readouterr().out
    study = tmp_path / "runs" / "zhao2022"
    found = results(study)
    models = ("concatenation", "coattention", "late_fusion", "combination")
    assert set(found) == {(model, fold) for model in models for fold in (1, 2)}

    both = found["combination", 2]
    assert [found[m, 2]["key"] for m in ("coattention", "late_fusion")] == both["parts"]
    assert both["variant"] == (
        "combination of coattention text+frame+phone, late_fusion text+frame+syllable"
    )
    assert [figure["value"] for figure in both["published"]] == [76.31]
    logs = sum(np.log(test_probabilities(study / k / "predictions.csv")) for k in both["parts"]) / 2
    odds = np.exp(logs)
    expected = odds / odds.sum(-1, keepdims=True)
    made = test_probabilities(study / both["key"] / "predictions.csv")
    np.testing.assert_allclose(made, expected, rtol=1e-6)

    # The setting of the paper's recipe: the epoch with the smallest validation loss.
    for result in found.values():
        if result["model"] != "combination":
            with (study / result["key"] / "metrics.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
            losses = [float(row["val/loss"]) for row in rows]
            assert result["epochs"]["best"] == int(np.argmin(losses)) + 1
            # Whether the branches of co-attention are alike can be read epoch by epoch.
            cosines = {n for n in rows[0] if n.startswith("val/cosine_")}
            of_streams = {"val/cosine_frame", "val/cosine_phone"}
            assert cosines == (of_streams if result["model"] == "coattention" else set())
            assert all(-1 <= float(row[name]) <= 1 for row in rows for name in cosines)
            # Training WA is a share of the training utterances.
            right = np.array([float(row["train/wa"]) for row in rows]) * result["counts"]["train"]
            np.testing.assert_allclose(right, right.round(), atol=1e-4)

    assert "Zhao 2022, Table 3" in printed
    assert printed.count("combination of coattention and late_fusion") == 2
    before = {path: path.stat().st_mtime_ns for path in study.glob("*/result.json")}
    assert main(["train", *words]) == 0
    assert {path: path.stat().st_mtime_ns for path in study.glob("*/result.json")} == before
    assert main(["report", "zhao2022", f"runs_dir={tmp_path / 'runs'}", "allow_missing=true"]) == 0
    page = (study / "report" / "tables.md").read_text()
    assert "| BERT, F+P+S, Coattention and Late Fusion |" in page
