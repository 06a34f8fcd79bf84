"""A student learns from a finished run, as a user types it."""

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sermm.cli.main import main
from sermm.engine.training import teaching as distillation_pass
from sermm.engine.training.callbacks import Keeper


def folder_of(runs, study):
    (folder,) = (runs / study).glob("[0-9a-f]*")
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def words(train_words):
    return [*train_words, "model=single_gate", "trainer.max_epochs=2"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the teacher is, once a test has trained it."""
    return tmp_path_factory.mktemp("teacher") / "runs"


@pytest.fixture
def teacher(words, kept, tmp_path):
    """A finished run with augmentation, a wide text encoder, and half precision."""
    own = ["encoder.text.width=48", "augment=speech", "trainer.precision=bf16-mixed"]
    if not kept.exists():
        assert main([*words, *own, "study=big", f"runs_dir={kept}"]) == 0
    shutil.copytree(kept, tmp_path / "runs")
    return folder_of(tmp_path / "runs", "big")


@pytest.fixture
def student(words):
    return [*words, "encoder.text.width=16", "encoder.text.vocab_size=64", "study=small"]


def test_a_student_learns_from_a_run_and_says_so(teacher, student, tmp_path, capsys):
    assert main([*student, "teacher=big"]) == 0
    assert "teacher: single_gate:" in capsys.readouterr().err
    folder = folder_of(tmp_path / "runs", "small")
    record = json.loads((folder / "result.json").read_text())
    big = json.loads((teacher / "result.json").read_text())
    assert record["teacher"] == {
        "key": teacher.name,
        "model": "single_gate",
        "variant": "single_gate",
        "parameters": big["parameters"],
        "ua": big["metrics"]["test/ua"],
    }
    assert record["parameters"]["total"] < big["parameters"]["total"]
    assert record["distillation"] == {"weight": 0.7, "temperature": 2.0}
    assert float(rows(folder / "metrics.csv")[-1]["train/distillation"]) > 0

    # The training utterances and no others, as the teacher itself sees them without augmentation.
    said = {row["utterance_id"]: row for row in rows(folder / "teacher.csv")}
    assert main(["evaluate", str(teacher), "split=train"]) == 0
    (found,) = (teacher / "evaluations").glob("*/predictions.csv")
    expected = {row["utterance_id"]: row for row in rows(found)}
    assert set(said) == set(expected)
    for i, row in expected.items():
        for c in ("ang", "hap", "neu", "sad"):
            shares = math.exp(float(said[i][f"logp_{c}"])), float(row[f"p_{c}"])
            assert shares[0] == pytest.approx(shares[1], abs=1e-6)


def test_a_sweep_finds_the_teacher_of_each_fold_and_the_table_tells_them_apart(
    words, student, tmp_path, capsys
):
    assert main([*words, "-m", "fold=1,2", "study=big", "trainer.max_epochs=1"]) == 0
    assert main([*student, "-m", "fold=1,2", "teacher=null,big", "trainer.max_epochs=1"]) == 0
    assert main(["report", "small", f"runs_dir={tmp_path / 'runs'}", "allow_missing=true"]) == 0
    table = capsys.readouterr().out
    assert "teacher=single_gate:" in table
    records = [json.loads(p.read_text()) for p in (tmp_path / "runs/small").glob("*/result.json")]
    assert len(records) == 4
    assert len({record["system"] for record in records}) == 2
    taught = [record for record in records if record["teacher"]]
    assert len({record["teacher"]["key"] for record in taught}) == 2


def test_a_resumed_student_equals_one_that_was_not_stopped(teacher, student, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    assert main([*student, "teacher=big"]) == 0
    whole = folder_of(runs, "small")
    keep = Keeper.on_train_epoch_end

    def stop(keeper, trainer, pl_module):
        keep(keeper, trainer, pl_module)
        raise KeyboardInterrupt

    again = [*student, "teacher=big", "study=again"]
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "on_train_epoch_end", stop)
        assert main(again) == 130
    folder = folder_of(runs, "again")
    assert folder.name == whole.name
    assert len(rows(folder / "metrics.csv")) == 1

    # What the teacher said is kept, so that neither the pass nor the folder is needed again.
    def never(task):
        raise AssertionError(task)

    monkeypatch.setattr(distillation_pass, "predicted", never)
    teacher.rename(tmp_path / "elsewhere")
    assert main(again) == 0
    for name in ("predictions.csv", "metrics.csv", "teacher.csv"):
        assert (folder / name).read_text() == (whole / name).read_text()


def test_a_student_is_found_finished_when_its_teacher_is_gone(teacher, student, tmp_path, capsys):
    asked = [*student, f"teacher={teacher}"]
    assert main(asked) == 0
    before = folder_of(tmp_path / "runs", "small")
    made = (before / "result.json").stat().st_mtime_ns
    moved = teacher.rename(tmp_path / "elsewhere")
    assert main(asked) == 0
    # Under its new name it is the same teacher.
    assert main([*student, f"teacher={moved}"]) == 0
    assert folder_of(tmp_path / "runs", "small") == before
    assert (before / "result.json").stat().st_mtime_ns == made
    capsys.readouterr()
    assert main([*asked, "distillation.weight=0.2"]) == 2
    assert f"no run '{teacher}'" in capsys.readouterr().err


def test_a_teacher_that_goes_before_it_was_asked_is_named(
    teacher, student, tmp_path, monkeypatch, capsys
):
    def stop(task, folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(distillation_pass, "predicted", stop)
        assert main([*student, "teacher=big"]) == 130
    teacher.rename(tmp_path / "elsewhere")
    assert main([*student, "teacher=big"]) == 2
    assert f"the teacher's folder {teacher} is gone" in capsys.readouterr().err


def test_a_teacher_of_another_fold_or_other_classes_is_refused(teacher, student, tmp_path, capsys):
    assert main([*student, f"teacher={teacher}", "fold=2"]) == 2
    said = capsys.readouterr().err
    assert "is of groups5 fold 1, seed 0, the student of groups5 fold 2, seed 0" in said
    assert main([*student, "teacher=big", "fold=2"]) == 2
    assert "no finished run for data tones, protocol groups5, fold 2" in capsys.readouterr().err
    assert main([*student, f"teacher={teacher}", "protocol.classes=[hap,ang,neu,sad]"]) == 2
    assert "knows the classes ['ang', 'hap', 'neu', 'sad']" in capsys.readouterr().err
    assert not (tmp_path / "runs/small").exists() or not list((tmp_path / "runs/small").iterdir())


@pytest.mark.parametrize("system", ["late_fusion", "caf"])
def test_parts_that_are_trained_apart_still_learn_from_a_teacher(
    teacher, student, tmp_path, system
):
    words = [*student, f"model={system}", "teacher=big"]
    words += ["model.system.joint=false"] if system == "late_fusion" else []
    assert main(words) == 0
    folder = folder_of(tmp_path / "runs", "small")
    assert float(rows(folder / "metrics.csv")[-1]["train/distillation"]) > 0


@pytest.mark.slow
def test_two_processes_learn_from_one_teacher(teacher, student, tmp_path):
    words = [*student, "teacher=big", "trainer.devices=2", "trainer.batch_size=8"]
    done = subprocess.run(
        [Path(sys.executable).parent / "sermm", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    folder = folder_of(tmp_path / "runs", "small")
    assert float(rows(folder / "metrics.csv")[-1]["train/distillation"]) > 0
