"""Runs that are not wanted any more."""

import fcntl
import json

import pytest

from sermm.cli.forget import run
from sermm.cli.main import main
from sermm.core.errors import InputError
from sermm.runs.folder import RunFolder
from sermm.runs.plans import Note, PlannedJob, log_path, read_plans, write_note, write_plan
from sermm.runs.status import Status
from sermm.sweeps.study import entries


def job(name, fold):
    return PlannedJob((f"model={name}", f"fold={fold}", "+model.width=8"))


@pytest.fixture
def runs_dir(tmp_path, a_run):
    """Two finished runs, one failed, one interrupted, one running, one refused and one waiting."""
    runs, one = tmp_path / "runs", [[2, 0], [0, 2]]
    study = runs / "first"
    for fold in (1, 2):
        a_run(study, "caf", one, fold=fold, key=f"done{fold}")
    jobs = [job("gate", fold) for fold in range(1, 6)]
    write_plan(study, jobs)
    states = ("failed", "interrupted", "running")
    for planned, fold, state in zip(jobs, (1, 2, 3), states, strict=False):
        folder = RunFolder(study / f"{state}{fold}", planned.id)
        folder.start(f"fold: {fold}\nmodel:\n  name: gate\n  variant: gate own\n  lr: 0.5\n")
        folder.write_status(state, "ValueError: no")
        log_path(study, planned).parent.mkdir(exist_ok=True, parents=True)
        log_path(study, planned).write_text("printed")
    write_note(study, jobs[3].words, Note(error="there is no fold 4"))
    return runs


def left(runs_dir):
    return {(one.state, one.name) for one in entries(runs_dir / "first")}


def forget(runs_dir, *words):
    return run([*words, f"runs_dir={runs_dir}"])


def test_what_would_go_is_shown_and_stays(runs_dir, capsys):
    before = left(runs_dir)
    assert forget(runs_dir, "first", "state=failed") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "failed  failed1  model gate fold 1  ValueError: no",
        f"failed  {job('gate', 4).id}  model gate fold 4  there is no fold 4",
        f"study {runs_dir / 'first'}: 2 runs would go; yes=true removes them",
    ]
    assert left(runs_dir) == before


def test_the_command_that_it_prints_quotes_a_name_with_spaces(runs_dir, capsys):
    study = (runs_dir / "first").rename(runs_dir / "my first")
    assert forget(runs_dir, "my first", "state=failed", "yes=true") == 0
    assert f"; sermm report '{study}' makes its tables anew" in capsys.readouterr().out


def test_with_a_yes_it_goes_with_what_the_plans_say_of_it(runs_dir, capsys):
    study = runs_dir / "first"
    gone = {("failed", "failed1"), ("failed", job("gate", 4).id)}
    before = left(runs_dir)
    assert forget(runs_dir, "first", "state=failed", "yes=true") == 0
    assert "2 runs forgotten" in capsys.readouterr().out
    assert left(runs_dir) == before - gone
    assert not (study / "failed1").exists()
    assert not log_path(study, job("gate", 1)).exists()
    assert job("gate", 1) not in read_plans(study).jobs
    assert not list(study.glob(".forgotten*"))
    assert forget(runs_dir, "first", "state=failed", "yes=true") == 0
    assert "nothing to forget" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["first:gate fold=2"], {"interrupted2"}),
        (["first:gate own", "state=failed,interrupted"], {"failed1", "interrupted2"}),
        (["first:model.lr=0.5 fold=1"], {"failed1"}),
        (["first:gate model.width=8", "state=interrupted"], {"interrupted2"}),
        (["first:gate", "state=waiting"], {job("gate", 5).id}),
        (["first:caf fold=2"], {"done2"}),
        (["first/done1"], {"done1"}),
        (["done1"], {"done1"}),
        (["first", "state=finished"], {"done1", "done2"}),
        (["first:other"], set()),
        (["done1", "state=failed"], set()),
    ],
)
def test_the_words_of_other_verbs_say_which(runs_dir, capsys, words, names):
    assert forget(runs_dir, *words, "format=json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in found["runs"]} == names
    assert found["forgotten"] is False


def test_what_runs_stays(runs_dir, capsys):
    assert forget(runs_dir, "first", "state=all", "yes=true") == 1
    assert "running3 is running; stop it first" in capsys.readouterr().err
    assert left(runs_dir) == {("running", "running3")}
    with pytest.raises(InputError, match="is not forgotten; stop it first"):
        forget(runs_dir, "first", "state=running")


def test_what_another_process_holds_stays(runs_dir, capsys):
    with (runs_dir / "first" / "failed1" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert forget(runs_dir, "failed1", "yes=true") == 1
    assert "failed1 is being run by another process" in capsys.readouterr().err
    assert ("failed", "failed1") in left(runs_dir)


def test_a_run_that_is_there_twice_can_be_forgotten(runs_dir, a_run, capsys):
    a_run(runs_dir / "first", "caf", [[2, 0], [0, 2]], fold=1, key="again")
    assert forget(runs_dir, "first:caf fold=1", "format=json") == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)["runs"]} == {
        "done1",
        "again",
    }
    assert forget(runs_dir, "again", "yes=true") == 0
    assert ("finished", "again") not in left(runs_dir)


def test_a_job_stays_planned_while_another_run_is_of_it(runs_dir):
    study, planned = runs_dir / "first", job("gate", 1)
    RunFolder(study / "second1", planned.id).start("fold: 1\n")
    RunFolder(study / "second1", planned.id).write_status("failed", "no")
    assert forget(runs_dir, "failed1", "yes=true") == 0
    assert planned in read_plans(study).jobs
    assert forget(runs_dir, "second1", "yes=true") == 0
    assert planned not in read_plans(study).jobs


def test_nothing_outside_goes_and_nothing_that_is_no_run(runs_dir, tmp_path, capsys):
    outside = tmp_path / "elsewhere" / "s"
    outside.mkdir(parents=True)
    Status("failed").write(RunFolder(outside / "a").path)
    (runs_dir / "first" / "plots").mkdir()
    (runs_dir / "first" / "link").symlink_to(outside / "a")
    (runs_dir / "linked").symlink_to(outside)
    for words in (
        [str(outside)],
        [str(outside / "a")],
        ["linked"],
        [str(runs_dir)],
        [str(tmp_path)],
    ):
        with pytest.raises(InputError, match="is no study in"):
            forget(runs_dir, *words, "state=failed", "yes=true")
    assert forget(runs_dir, "first", "state=failed,unreadable", "yes=true") == 1
    kept = capsys.readouterr().err
    assert "plots is no run folder" in kept
    assert "link is a link to a folder elsewhere" in kept
    assert (outside / "a" / "status.json").is_file()
    assert (runs_dir / "first" / "plots").is_dir()


def test_a_damaged_plan_can_be_forgotten(runs_dir):
    study = runs_dir / "first"
    (study / ".sweeps" / "damaged.json").write_text('{"jobs": 3}')
    assert ("unreadable", "damaged.json") in left(runs_dir)
    assert forget(runs_dir, "first", "state=unreadable", "yes=true") == 0
    assert not (study / ".sweeps" / "damaged.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "expected one run or study"),
        (["first"], "is a whole study: say which of its runs"),
        (["first", "state=done"], "'done' is no state"),
        (["first", "stat=failed"], "unknown key stat: close to it: state"),
        (["first", "yes=1"], "yes must be true or false"),
        (["frist", "state=failed"], "'frist' is no study"),
        (["", "state=failed"], "is no study"),
        (["x" * 300, "state=failed"], "is no study"),
    ],
)
def test_wrong_use(runs_dir, words, says):
    with pytest.raises(InputError, match=says):
        forget(runs_dir, *words)


def test_the_verb_is_known(runs_dir, capsys):
    assert main(["forget", "failed1", f"runs_dir={runs_dir}"]) == 0
    assert "1 run would go" in capsys.readouterr().out
