"""`sermm train` and what follows it, as a user types it, inside this process."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch

from sermm.cli.main import main


def result(runs: Path, study="default"):
    (path,) = (runs / study).glob("*/result.json")
    return json.loads(path.read_text())


def test_a_run_is_recorded_and_then_skipped(train_words, tmp_path, capsys):
    assert main([*train_words, "fold=2"]) == 0
    record = result(tmp_path / "runs")
    assert {
        k: record[k] for k in ("model", "data", "protocol", "fold", "n_folds", "selection")
    } == {
        "model": "late_fusion",
        "data": "tones",
        "protocol": "groups5",
        "fold": 2,
        "n_folds": 5,
        "selection": "val",
    }
    assert record["counts"] == {
        "train": 36,
        "val": 12,
        "test": 12,
        "cut": 0,
        "cut_texts": 0,
        "problems": 0,
    }
    predictions = pl.read_csv(next((tmp_path / "runs").glob("*/*/predictions.csv")))
    assert sorted(predictions["split"].unique()) == ["test", "val"]
    test = predictions.filter(pl.col("split") == "test")
    assert set(test["talker"]) == {"t1"}
    assert record["metrics"]["test/wa"] == pytest.approx(
        (test["label"] == test["predicted"]).mean()
    )
    assert test.select(
        pl.sum_horizontal("p_ang", "p_hap", "p_neu", "p_sad")
    ).to_series().to_list() == (pytest.approx([1.0] * 12, abs=1e-6))
    before = (tmp_path / "runs").rglob("result.json").__next__().stat().st_mtime_ns
    capsys.readouterr()
    assert main([*train_words, "fold=2"]) == 0
    assert next((tmp_path / "runs").rglob("result.json")).stat().st_mtime_ns == before
    assert record["key"] in capsys.readouterr().out


def test_the_same_run_twice_gives_the_same_predictions(train_words, tmp_path):
    assert main([*train_words, "study=a"]) == 0
    assert main([*train_words, "study=b", "trainer.num_workers=1"]) == 0
    a, b = (next((tmp_path / "runs" / s).glob("*/predictions.csv")).read_text() for s in "ab")
    assert a == b


def test_a_sweep_ends_with_the_table_and_the_report_agrees(train_words, tmp_path, capsys):
    sweep = [*train_words, "-m", "model=majority,lookup", "fold=range(1,6)", "study=floors"]
    assert main(sweep) == 0
    table = capsys.readouterr().out
    assert "lookup (floor)" in table
    assert "INCOMPLETE" not in table
    assert main(["report", "floors", f"runs_dir={tmp_path / 'runs'}"]) == 0
    rows = pl.read_csv(tmp_path / "runs/floors/report/results.csv")
    assert dict(zip(rows["model"], rows["ua_pooled"], strict=True)) == {
        "lookup": 1.0,
        "majority": 0.25,
    }


def test_one_failing_job_does_not_stop_the_others(train_words, tmp_path, capsys):
    sweep = [*train_words, "-m", "model=majority", "fold=1,6,2", "study=s"]
    assert main(sweep) == 1
    assert len(list((tmp_path / "runs/s").glob("*/result.json"))) == 2
    assert "fold 6 of 5" in capsys.readouterr().err


def test_two_jobs_of_one_run_are_made_once(train_words, tmp_path, capsys):
    words = ["-m", "model=majority", "fold=1", "trainer.batch_size=8,16", "trainer.accumulate=2,1"]
    assert main([*train_words, *words]) == 0
    said = capsys.readouterr().out
    same = "trainer.batch_size=16 trainer.accumulate=1 is the same run as trainer.batch_size=8 "
    assert said.count(f"{same}trainer.accumulate=2: made once\n") == 1
    assert said.count("test UA") == 3
    assert main(["status", "default", f"runs_dir={tmp_path / 'runs'}"]) == 0
    assert "3 runs: 3 finished" in capsys.readouterr().out


@pytest.mark.parametrize("launcher", ["basic", "gpu_pool"])
def test_a_value_that_is_refused_stops_no_other_run_of_a_sweep(
    launcher, train_words, tmp_path, capsys
):
    words = [word for word in train_words if not word.startswith("hydra/launcher")]
    words += [f"hydra/launcher={launcher}", "model=majority", "trainer.precision=auto,half"]
    assert main([*words, "fold=1,2", "-m"]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("trainer.precision=half: expected auto, 32-true") >= 2
    results = list((tmp_path / "runs/default").glob("*/result.json"))
    assert len(results) == 2
    assert not list((tmp_path / "runs/default").glob("*/status.json"))[2:]
    if launcher == "gpu_pool":
        assert main(["status", "default", f"runs_dir={tmp_path / 'runs'}"]) == 1
        assert "trainer.precision=half: expected" in capsys.readouterr().out


def test_evaluate_says_what_was_trained_on(train_words, tmp_path, capsys):
    assert main([*train_words, "model=lookup"]) == 0
    run = str(next((tmp_path / "runs/default").glob("*")))
    capsys.readouterr()
    assert main(["evaluate", run, "format=json"]) == 0
    own = json.loads(capsys.readouterr().out)
    assert own["metrics"]["test/ua"] == result(tmp_path / "runs")["metrics"]["test/ua"]
    assert own["seen_in_training"] == {"utterances": 0, "talkers": 0}
    assert main(["evaluate", run, "fold=4", "format=json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert other["seen_in_training"] == {"utterances": 12, "talkers": 1}
    assert main(["evaluate", run, "fold=4"]) == 0
    assert "NOT A TEST" in capsys.readouterr().out


def test_predict_labels_files_and_agrees_with_the_run(train_words, tones, tmp_path, capsys):
    assert main(train_words) == 0
    run = next((tmp_path / "runs/default").glob("*"))
    expected = pl.read_csv(run / "predictions.csv").filter(pl.col("utterance_id") == "0sad1")
    capsys.readouterr()
    words = [str(tones.parent / "0sad1.wav"), "text=I am gloomy today", "format=json"]
    assert main(["predict", str(run), *words]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["label"] == expected["predicted"][0]
    assert found["probabilities"]["sad"] == pytest.approx(expected["p_sad"][0], rel=1e-4)
    assert main(["predict", str(run), words[0]]) == 0
    assert "empty transcript" in capsys.readouterr().err


def test_select_on_test_is_stamped(train_words, tmp_path):
    assert main([*train_words, "select_on_test=true", "trainer.max_epochs=1"]) == 0
    assert result(tmp_path / "runs")["selection"] == "test"
    predictions = pl.read_csv(next((tmp_path / "runs").glob("*/*/predictions.csv")))
    assert predictions["utterance_id"].n_unique() == len(predictions)


def test_without_validation_the_last_epoch_is_taken(train_words, tmp_path):
    no_validation = [
        "protocol=loso4_noval",
        "protocol.fold_rule._target_=sermm.protocols.folds.TalkerGroups",
    ]
    assert main([*train_words, *no_validation, "trainer.max_epochs=2"]) == 0
    record = result(tmp_path / "runs")
    assert record["selection"] == "last"
    assert record["epochs"] == {"best": 2, "last": 2}
    assert record["counts"]["val"] == 0


BAD = [
    (["modle=late_fusion"], "modle"),
    (["fold=6"], "fold 6 of 5"),
    (["data.manifest=/nowhere.csv"], "/nowhere.csv"),
    (["encoder/text=null"], "encoder/text"),
    (["trainer.precision=fp8"], "fp8"),
    (["model.learning.schedule=triangle"], "triangle"),
    (["trainer.batch_seconds=10.0"], "batch"),
]


@pytest.mark.parametrize(("words", "says"), BAD)
def test_wrong_input_is_one_line_and_exit_status_2(train_words, capsys, words, says):
    assert main([*train_words, *words]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert "Traceback" not in error


def test_an_encoder_that_is_nowhere_is_named(corpus_words, tmp_path, capsys):
    words = ["train", *corpus_words, f"runs_dir={tmp_path}", "encoder.speech.id=/nowhere"]
    assert main([*words, "encoder/text=tiny"]) == 2
    assert "/nowhere" in capsys.readouterr().err


def test_an_unwritable_run_folder_is_named(train_words, tmp_path, capsys):
    (tmp_path / "runs").write_text("a file, not a folder")
    assert main(train_words) == 2
    assert "runs_dir" in capsys.readouterr().err


def test_a_class_absent_from_a_fold_is_named(train_words, tones, tmp_path, capsys):
    rows = tones.read_text().splitlines()
    kept = tmp_path / "kept.csv"
    kept.write_text("\n".join(r for r in rows if "t0" not in r or "sad" not in r))
    words = [*train_words, f"data.manifest={kept}", f"data.root={tones.parent}"]
    assert main(words) == 2
    assert "no test utterance of class sad" in capsys.readouterr().err


def test_weights_that_would_execute_code_are_refused(train_words, tmp_path, capsys):
    assert main([*train_words, "trainer.max_epochs=1"]) == 0
    run = next((tmp_path / "runs/default").glob("*"))
    torch.save({"state": Path("/tmp")}, run / "checkpoints/best.ckpt")
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 2
    assert "best.ckpt" in capsys.readouterr().err


def test_a_finished_run_on_another_corpus_is_not_taken_for_this_one(
    train_words, tones, tmp_path, capsys
):
    words = [*train_words, "model=majority"]
    assert main(words) == 0
    rows = tones.read_text().splitlines()
    (tmp_path / "less.csv").write_text("\n".join(rows[:-1]))
    less = [f"data.manifest={tmp_path / 'less.csv'}", f"data.root={tones.parent}"]
    assert main([*words, *less]) == 2
    assert "other utterances" in capsys.readouterr().err


def test_two_folds_never_share_a_tracker_run(train_words, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    words = [*train_words, "logger=wandb", "trainer.max_epochs=1", "model=text_only"]
    assert main([*words, "-m", "fold=1,2"]) == 0
    tracked = [p.stem for p in (tmp_path / "runs/default").glob("*/wandb/offline-run-*/*.wandb")]
    keys = {p.parent.name for p in (tmp_path / "runs/default").glob("*/result.json")}
    assert {name.removeprefix("run-") for name in tracked} == keys
    assert len(keys) == 2


def test_a_sweep_with_a_model_that_is_not_there_is_one_clear_line(train_words, capsys):
    assert main([*train_words, "-m", "model=majority,nonsense"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Could not find 'model/nonsense'" in said
    assert "late_fusion" in said
