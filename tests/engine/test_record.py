"""What a run says of itself when it has finished."""

import dataclasses

from sermm.bench.epoch import speech_task
from sermm.engine.record import record
from sermm.engine.training.fit import learn
from sermm.models.floors import Majority
from sermm.report.tables.rows import row
from sermm.runs.reading.runs import read_study
from sermm.runs.result import Result


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
