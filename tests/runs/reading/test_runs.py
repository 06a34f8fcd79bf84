import json
from datetime import UTC, datetime, timedelta

import pytest

from sermm.core.errors import InputError
from sermm.runs.reading.runs import read_study
from sermm.runs.studies import find_study


def status(folder, **content):
    (folder / "status.json").write_text(json.dumps(content))


def only_problem(study):
    (problem,) = read_study(study).problems
    return problem


def test_reads_all_runs_and_counts_their_test_predictions(study):
    found = read_study(study)
    assert found.name == "demo"
    assert len(found.runs) == 20
    assert not found.problems
    fold_5 = next(r for r in found.runs if (r.result.model, r.result.fold) == ("speech_only", 5))
    assert fold_5.tests["n"].sum() == 14
    assert fold_5.by_dialogue


def test_failed_run_is_named_with_its_last_line(study):
    folder = study / "speech_only-system-loso4-s1-f2"
    status(folder, state="failed", error="Traceback ...\nRuntimeError: out of memory\n")
    problem = only_problem(study)
    assert problem.where == f"{folder.name} (model speech_only, fold 2, seed 1)"
    assert problem.what == "failed: RuntimeError: out of memory"
    assert problem.kind == "failed"


@pytest.mark.parametrize(("age_s", "state"), [(30, "running"), (600, "interrupted")])
def test_running_with_an_old_heartbeat_is_interrupted(study, age_s, state):
    beat = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
    status(study / "majority-system-loso4-s1-f1", state="running", error=None, heartbeat=beat)
    assert only_problem(study).kind == state


def damage_half(folder):
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(text[: len(text) // 2])


def damage_field(folder):
    result = json.loads((folder / "result.json").read_text())
    del result["split_digest"], result["seed"]
    (folder / "result.json").write_text(json.dumps(result))


def damage_type(folder):
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "fold": "1"}))


def damage_headline(folder):
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "headline": "accuracy"}))


def damage_cut_predictions(folder):
    text = (folder / "predictions.csv").read_text()
    (folder / "predictions.csv").write_text(text[: text.rindex(",ang") + 2])


def damage_column(folder):
    text = (folder / "predictions.csv").read_text()
    (folder / "predictions.csv").write_text(text.replace("predicted", "guess", 1))


def damage_twice(folder):
    path = folder / "predictions.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")


def damage_no_test(folder):
    path = folder / "predictions.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:2]) + "\n")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_half, "result.json is damaged: it is no JSON from line "),
        (damage_field, "result.json has no seed, split_digest"),
        (damage_type, "fold is '1', of the wrong type"),
        (damage_headline, "headline is 'accuracy'"),
        (damage_cut_predictions, "predictions.csv is damaged: "),
        (damage_column, "predicted"),
        (damage_twice, "it names u1_3 twice"),
        (damage_no_test, "no test row"),
        (lambda folder: (folder / "predictions.csv").unlink(), "no predictions.csv"),
        (lambda folder: (folder / "result.json").unlink(), "no result.json"),
        (lambda folder: (folder / "status.json").unlink(), "no status.json"),
        (lambda folder: (folder / "status.json").write_text("[]"), "it holds a list"),
        (lambda folder: (folder / "status.json").write_text("{}"), "status.json has no state"),
    ],
)
def test_damaged_run_is_named(study, damage, says):
    folder = study / "majority-system-loso4-s1-f1"
    damage(folder)
    problem = only_problem(study)
    assert problem.kind == "unreadable"
    assert folder.name in problem.where
    assert says in problem.what


def test_report_folder_and_hidden_folders_are_no_runs(study):
    (study / "report").mkdir()
    (study / ".hydra").mkdir()
    assert not read_study(study).problems


def test_study_without_finished_run_says_why(tmp_path):
    folder = tmp_path / "new"
    (folder / "abc").mkdir(parents=True)
    status(folder / "abc", state="failed", error="ValueError: no")
    with pytest.raises(InputError, match=r"no finished run:\n  abc: failed: ValueError: no"):
        read_study(folder)


def test_study_is_found_by_name_and_as_a_folder(study, tmp_path):
    assert find_study("demo", tmp_path / "runs") == study
    assert find_study(str(study), tmp_path / "elsewhere") == study


def test_unknown_study_lists_those_there_are(study, tmp_path):
    with pytest.raises(InputError, match=r"no study 'dmeo' in .*runs \(demo\)"):
        find_study("dmeo", tmp_path / "runs")
    with pytest.raises(InputError, match="no study at all"):
        find_study("demo", tmp_path / "elsewhere")


def test_without_dialogues_the_talker_is_the_unit(tmp_path, a_run):
    row = {
        "utterance_id": "a", "split": "test", "label": "ang", "predicted": "sad", "group": "1",
        "dialogue": "", "talker": "03", "act": "",
    }  # fmt: skip
    rows = [row, {**row, "utterance_id": "b", "label": "sad", "talker": "04"}]
    a_run(tmp_path, "speech_only", None, rows=rows)
    (run,) = read_study(tmp_path).runs
    assert not run.by_dialogue
    assert run.tests["unit"].to_list() == ["03", "04"]
    assert run.tests["act"].null_count() == 2
