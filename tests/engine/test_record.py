"""What a run says of itself when it has finished."""

import dataclasses

from sermm.bench.epoch import speech_task
from sermm.engine import cost as costs
from sermm.engine.assembly import inference
from sermm.engine.record import record
from sermm.engine.training.fit import Learned, learn
from sermm.models.floors import Majority
from sermm.report.tables.rows import row
from sermm.runs.reading.runs import read_study
from sermm.runs.result import Epochs, Result


class OwnFloor(Majority):
    """A floor of somebody's own."""


def test_a_floor_of_ones_own_is_a_floor_in_the_report(tmp_path):
    task = speech_task(tmp_path, 16, ["model=majority", "model.name=own_floor"])
    task = dataclasses.replace(task, system=OwnFloor(4))
    found = record(task, {}, learn(task), 1.0)
    task.folder.finish(found)
    assert Result.read(task.folder.path) == found
    (run,) = (r for r in read_study(tmp_path).runs if r.folder == task.folder.path)
    assert (run.result.model, row("own_floor", [run]).floor) == ("own_floor", True)


def with_validation(task):
    """The task with half of its test part to validate on."""
    half = len(task.fold.test) // 2
    val, test = task.fold.test[:half], task.fold.test[half:]
    return dataclasses.replace(task, fold=dataclasses.replace(task.fold, val=val, test=test))


def test_a_trial_neither_predicts_nor_keeps_its_test_part(tmp_path, monkeypatch):
    task = with_validation(speech_task(tmp_path, 16, ["withhold_test=true"]))
    seen = []
    logits = inference.logits_of
    monkeypatch.setattr(
        inference,
        "logits_of",
        lambda s, batch, *a: (seen.extend(batch.ids), logits(s, batch, *a))[1],
    )
    monkeypatch.setattr(costs, "logits_of", inference.logits_of)
    found = record(task, {}, Learned(Epochs(best=1, last=1)), 1.0)
    task.folder.finish(found)
    assert set(seen) == set(task.fold.val)
    assert {name.split("/")[0] for name in found.metrics} == {"val"}
    rows = (task.folder.path / "predictions.csv").read_text().splitlines()[1:]
    assert {row.split(",")[1] for row in rows} == {"val"}
    assert len(rows) == len(task.fold.val)
    assert Result.read(task.folder.path).withheld
    assert (found.untested, found.cost.utterances) == ((), len(task.fold.val))


def test_a_run_of_the_same_settings_has_its_test_part(tmp_path):
    task = with_validation(speech_task(tmp_path, 16))
    found = record(task, {}, Learned(Epochs(best=1, last=1)), 1.0)
    assert {name.split("/")[0] for name in found.metrics} == {"val", "test"}
    assert "withheld" not in found.as_json()
