import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from sermm.cli.main import main
from sermm.cli.status import run
from sermm.core.errors import InputError
from sermm.runs.plans import PlannedJob, log_path, write_plan

WORDS = ("model=caf", "protocol=loso4")


def put(study, key, state, **more):
    folder = study / key
    folder.mkdir(parents=True)
    beat = datetime.now(UTC) - timedelta(seconds=9)
    status = {"state": state, "error": None, "host": "x", "pid": 1, "heartbeat": beat.isoformat()}
    (folder / "status.json").write_text(json.dumps({**status, **more}))
    (folder / "config.yaml").write_text("protocol:\n  name: loso4\nmodel:\n  name: caf\nfold: 2\n")
    return folder


@pytest.fixture
def runs_dir(tmp_path, a_result):
    """A study with a run of each state but waiting, in a path with spaces."""
    folder = tmp_path / "my runs"
    study = folder / "first study"
    done = put(study, "done1", "finished")
    a_result(metrics={"test/ua": 0.7512}).write(done)
    failed = PlannedJob((*WORDS, "fold=9"))
    put(study, "fail1", "failed", error="Traceback\n  x\nValueError: bad fold", job=failed.id)
    put(study, "stop1", "interrupted", error="preempted: SIGUSR1", slurm="12_3")
    going = put(study, "going1", "running")
    (going / "metrics.csv").write_text("epoch,val/loss,val/ua\n1,1.2,0.4\n2,1.0,0.6251\n")
    write_plan(study, [failed])
    log = log_path(study, failed)
    log.parent.mkdir(parents=True)
    log.write_text("what it printed\n")
    return folder


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_counts_come_first_and_finished_runs_are_but_counted(runs_dir, capsys):
    assert run(["first study", f"runs_dir={runs_dir}"]) == 1
    first, head, failed, log, stopped, going = lines(capsys)
    assert first == ("study first study, 4 runs: 1 finished, 1 running, 1 interrupted, 1 failed")
    assert head.split() == ["state", "run", "model", "protocol", "fold", "seed"]
    assert failed.split(maxsplit=5) == [
        "failed",
        "fail1",
        "caf",
        "loso4",
        "2",
        "ValueError: bad fold",
    ]
    study = runs_dir / "first study"
    assert log == f"  {log_path(study, PlannedJob((*WORDS, 'fold=9')))}"
    assert stopped.endswith("preempted: SIGUSR1, Slurm 12_3")
    assert "epoch 2, val UA 62.5, sign of life " in going


def test_the_states_that_are_asked_for_are_listed(runs_dir, capsys):
    run([str(runs_dir / "first study"), "state=finished,running"])
    _, _, going, done = lines(capsys)
    assert going.startswith("running")
    assert done.endswith("test UA 75.1")
    run([str(runs_dir / "first study"), "state=all"])
    assert len(lines(capsys)) == 2 + 4 + 1


def test_waiting_runs_are_listed_up_to_twenty_unless_asked_for(tmp_path, capsys):
    study = tmp_path / "s"
    write_plan(study, [PlannedJob((*WORDS, f"fold={fold}")) for fold in range(23)])
    assert run([str(study)]) == 0
    first, _, *rows, rest = lines(capsys)
    assert first == "study s, 23 runs: 23 waiting"
    assert len(rows) == 20
    assert rest == "... and 3 more: sermm status s state=waiting"
    run([str(study), "state=waiting"])
    assert len(lines(capsys)) == 2 + 23


def test_a_command_to_be_pasted_quotes_a_name_with_spaces(tmp_path, capsys):
    study = tmp_path / "my study"
    write_plan(study, [PlannedJob((*WORDS, f"fold={fold}")) for fold in range(23)])
    run([str(study)])
    assert lines(capsys)[-1] == "... and 3 more: sermm status 'my study' state=waiting"


def test_a_waiting_run_that_printed_something_shows_its_log(tmp_path, capsys):
    study, job = tmp_path / "s", PlannedJob(("model=caf", "fold=99"))
    write_plan(study, [job])
    log_path(study, job).parent.mkdir(parents=True)
    log_path(study, job).write_text("there is no fold 99\n")
    run([str(study)])
    *_, row, log = lines(capsys)
    assert row.endswith("began, and has made no run folder; its log:")
    assert log == f"  {log_path(study, job)}"


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["finished", "finished"], 0),
        (["finished", "running", "interrupted"], 0),
        (["finished", "failed"], 1),
        (["finished", None], 1),
        ([], 0),
    ],
)
def test_exit_status_tells_failures(tmp_path, states, status, capsys):
    (tmp_path / "s").mkdir()
    for number, state in enumerate(states):
        put(tmp_path / "s", f"key{number}", state)
    assert run([str(tmp_path / "s")]) == status
    assert lines(capsys)[0].startswith(f"study s, {len(states)} runs: ")


def test_json_is_json_and_nothing_else(runs_dir, capsys, monkeypatch):
    monkeypatch.setenv("SERMM_RUNS", str(runs_dir))
    assert run(["first study", "state=failed,waiting", "format=json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["study"] == "first study"
    assert found["counts"] == {
        "failed": 1, "unreadable": 0, "cancelled": 0, "interrupted": 1, "not_submitted": 0,
        "running": 1, "starting": 0, "queued": 0, "waiting": 0, "finished": 1,
    }  # fmt: skip
    (failed,) = found["runs"]
    assert (failed["key"], failed["reason"]) == ("fail1", "ValueError: bad fold")
    assert (failed["fold"], failed["test_ua"]) == ("2", None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "expected one study"),
        (["first study", "other"], "expected one study"),
        (["other"], r"no study 'other' .*\(first study\)"),
        (["first study", "state=done"], "'done' is no state; expected all, or some of failed"),
        (["first study", "format=xml"], "table or json"),
        (["first study", "states=all"], "unknown key states: close to it: state"),
    ],
)
def test_wrong_use(runs_dir, arguments, says):
    with pytest.raises(InputError, match=says):
        run([*arguments, f"runs_dir={runs_dir}"])


def test_the_command_imports_no_torch(runs_dir):
    script = (
        "import sys; from sermm.cli.main import main; main(sys.argv[1:])\n"
        "heavy = {'torch', 'hydra', 'polars', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    words = ["status", str(runs_dir / "first study"), "state=all"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_verb_is_known(runs_dir, capsys):
    assert main(["status", "other", f"runs_dir={runs_dir}"]) == 2
    assert "sermm status: there is no study 'other'" in capsys.readouterr().err


def test_a_trial_of_a_search_is_shown_with_its_validation_ua(runs_dir, a_result, capsys):
    trial = put(runs_dir / "searched", "trial1", "finished")
    a_result(metrics={"val/ua": 0.6125}, withheld=True).write(trial)
    (trial / "metrics.csv").write_text("epoch,val/ua\n1,0.6125\n2,0.4\n")
    assert run(["searched", f"runs_dir={runs_dir}", "state=all"]) == 0
    assert lines(capsys)[-1].endswith("val UA 61.2")
    run(["searched", f"runs_dir={runs_dir}", "state=all", "format=json"])
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    assert (found["val_ua"], found["test_ua"]) == (0.6125, None)
