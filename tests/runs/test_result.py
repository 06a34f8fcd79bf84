"""The record of a finished run: what is written is read back, and what cannot be read says why."""

import dataclasses
import json

import pytest

from sermm.cli.main import main
from sermm.core.errors import InputError
from sermm.engine.combination.choice import chosen
from sermm.runs.find import find_run
from sermm.runs.folder import RunFolder
from sermm.runs.layout import FORMAT
from sermm.runs.reading.runs import read_study
from sermm.runs.result import Cost, Git, Overfit, Published, Result, Teacher


def rewrite(folder, drop=(), **changes):
    path = folder / "result.json"
    found = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in found.items() if k not in drop}))


def test_what_is_written_is_read_back(tmp_path, a_result):
    written = dataclasses.replace(
        a_result(),
        cost=Cost("GPU", "32-true", "finetune", 2, 20, 1.5, None),
        overfit=Overfit(1.25, None),
        teacher=Teacher("k", "caf", "caf", a_result().parameters, 0.5),
        distillation={"weight": 0.5},
        published=(Published("a paper", "ua", 70.0, "loso4", note="best"),),
        parts=("a", "b"),
        weights=(1.0, 2.0),
        unit_sources={"phone": {"corpus": 3}},
        metrics={"test/ua": 0.5, "test/recall_ang": None},
        git=Git(),
    )
    written.write(tmp_path)
    assert Result.read(tmp_path) == written


def test_a_file_has_what_other_programs_read_and_no_parts_of_a_single_run(a_result):
    found = a_result(metrics={"test/ua": 0.5}).as_json()
    promised = "key study model data protocol fold seed split_digest metrics parameters seconds"
    assert {*promised.split(), "versions", "git"} <= set(found)
    assert (found["format"], found["floor"]) == (FORMAT, False)
    assert not {"parts", "part_predictions", "weights", "distillation"} & set(found)
    assert (found["cost"], found["teacher"]) == (None, None)
    assert found["parameters"] == {"total": 1200, "trainable": 1000, "head": None}


@pytest.mark.parametrize(("model", "floor"), [("majority", True), ("lookup", True), ("caf", False)])
def test_a_file_without_a_format_is_read_and_its_floors_are_known_by_name(
    tmp_path, a_result, model, floor
):
    a_result(model=model).write(tmp_path)
    rewrite(tmp_path, drop=("format", "floor", "cost", "overfit", "features", "teacher"))
    found = Result.read(tmp_path)
    assert (found.floor, found.format) == (floor, 0)
    assert (found.cost, found.overfit, found.features, found.teacher) == (None, None, None, None)


def test_a_file_with_a_format_says_whether_it_is_a_floor(tmp_path, a_result):
    a_result(model="majority").write(tmp_path)
    assert not Result.read(tmp_path).floor
    rewrite(tmp_path, drop=("floor",))
    with pytest.raises(InputError, match=r"result.json has no floor; .*sermm forget"):
        Result.read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fold": "1"}, "result.json: fold is '1', of the wrong type: expected int"),
        ({"fold": True}, "result.json: fold is True, of the wrong type"),
        ({"classes": ["ang", 3]}, "result.json: classes is 3, of the wrong type"),
        ({"metrics": {"test/ua": "high"}}, "result.json: metrics is 'high', of the wrong type"),
        ({"git": []}, "result.json: git holds a list, expected an object"),
        ({"counts": {"train": 1}}, "result.json: counts has no val, test"),
        ({"parameters": {"total": 1.5, "trainable": 1}}, "result.json: parameters: total is 1.5"),
        ({"headline": "accuracy"}, "headline is 'accuracy', not in"),
    ],
)
def test_a_damaged_field_is_named(tmp_path, a_result, changes, says):
    a_result().write(tmp_path)
    rewrite(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        Result.read(tmp_path)
    assert says in str(error.value)
    assert str(tmp_path) in str(error.value)


NEWER = rf"was written by a newer sermm \(format {FORMAT + 1}, this one reads up to {FORMAT}\)"


def test_a_newer_format_is_refused_by_the_report(study):
    rewrite(study / "majority-system-loso4-s1-f1", format=FORMAT + 1)
    (problem,) = read_study(study).problems
    assert problem.kind == "unreadable"
    assert f"newer sermm (format {FORMAT + 1}" in problem.what
    assert problem.what.endswith("update sermm")


def test_a_newer_format_is_refused_by_combine_and_predict(study, capsys):
    folder = study / "speech_only-system-loso4-s1-f1"
    rewrite(folder, format=FORMAT + 1)
    with pytest.raises(InputError, match=NEWER):
        chosen(str(folder), study.parent)
    with pytest.raises(InputError, match=NEWER):
        find_run("demo:speech_only fold=1", study.parent)
    assert main(["predict", str(folder), "a.wav"]) == 2
    assert f"newer sermm (format {FORMAT + 1}" in capsys.readouterr().err


def test_a_run_of_a_newer_format_is_not_made_again(tmp_path):
    (tmp_path / "status.json").write_text(json.dumps({"state": "new", "format": FORMAT + 1}))
    with pytest.raises(InputError, match=NEWER):
        assert RunFolder(tmp_path).result
