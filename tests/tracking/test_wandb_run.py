"""How a W&B run ends, and what is left of it, with W&B's service left out."""

import pytest
import wandb

from sermm.runs.address import address
from sermm.tracking.tracker import Begun, Ended, Stop
from sermm.tracking.wandb_run import Wandb

KEY = "0123456789abcdef"


def epochs(*uas):
    return [{"epoch": float(k), "val/ua": ua, "train/loss": 9.0 - k} for k, ua in enumerate(uas, 1)]


@pytest.fixture
def tracker(plain, tmp_path, wandb_runs):
    tracker = Wandb("p")
    tracker.start(Begun(plain, tmp_path / KEY, {}))
    return tracker


def staging(tmp_path):
    folder = tmp_path / KEY / "wandb/artifacts/staging"
    folder.mkdir(parents=True)
    (folder / "tmp1").touch()
    return folder


def test_the_summary_is_of_the_chosen_epoch_and_the_last_one_beside_it(
    tracker, wandb_runs, a_result
):
    (run,) = wandb_runs
    assert run.summary == {"status": "running", "status/reason": ""}
    rows = epochs(0.5, 0.75, 0.25)
    tracker.epochs(rows[:2])
    assert run.summary["last/val/ua"] == 0.75
    assert "val/ua" not in run.summary
    epochs_of = {"best": 2, "last": 3}
    result = a_result(key=KEY, epochs=epochs_of, metrics={"val/ua": 0.75})
    tracker.finished(Ended(result, rows, [], {}))
    tracker.epochs(rows)
    found = run.summary
    assert (found["epoch"], found["val/ua"], found["train/loss"]) == (2, 0.75, 7.0)
    assert (found["last/epoch"], found["last/val/ua"], found["last/train/loss"]) == (3, 0.25, 6.0)
    assert "test/ua" not in found
    assert run.defined["val/ua"] == {"step_metric": "epoch", "summary": "none"}
    assert run.defined["epoch"] == {"step_metric": None, "summary": "none"}


@pytest.mark.parametrize(
    ("stop", "status", "preempting"),
    [
        (Stop("finished"), 0, 0),
        (Stop("failed", "RuntimeError: no room"), 1, 0),
        (Stop("untracked", "no route"), 1, 0),
        (Stop("interrupted", "stopped by SIGTERM"), 255, 0),
        (Stop("cancelled", "Slurm job 7 was cancelled"), 255, 0),
        (Stop("preempted", "job 7 requeued"), 1, 1),
    ],
)
def test_a_run_says_how_it_ended(tracker, wandb_runs, stop, status, preempting):
    tracker.stop(stop)
    (run,) = wandb_runs
    assert (run.exit, run.preempting) == (status, preempting)
    assert run.summary == {"status": stop.state, "status/reason": stop.reason}


def test_wandb_hears_of_a_requeue_before_slurm_ends_the_process(tracker, wandb_runs):
    tracker.leaving()
    assert wandb_runs[0].preempting == 1
    assert wandb_runs[0].exit is None


@pytest.fixture
def online(monkeypatch, wandb_runs):
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    init = wandb.init
    monkeypatch.setattr(wandb, "init", lambda **about: init(**about, url="https://wandb.ai/p"))


def test_copies_go_once_they_are_uploaded(online, tracker, tmp_path, capsys):
    folder = staging(tmp_path)
    tracker.stop(Stop("finished"))
    assert not folder.exists()
    assert address(tmp_path / KEY) == "https://wandb.ai/p"
    assert "W&B: https://wandb.ai/p\n" in capsys.readouterr().err


def test_copies_stay_where_they_are_still_to_be_uploaded(
    online, tracker, tmp_path, monkeypatch, capsys
):
    folder = staging(tmp_path)

    def too_slow(exit_code):
        raise TimeoutError

    monkeypatch.setattr(wandb, "finish", too_slow)
    tracker.stop(Stop("finished"))
    assert folder.exists()
    assert "to upload the rest: wandb sync" in capsys.readouterr().err


def test_copies_of_an_offline_run_stay_until_they_are_synchronised(
    plain, tracker, tmp_path, wandb_runs
):
    folder = staging(tmp_path)
    tracker.stop(Stop("finished"))
    assert folder.exists()
    (wandb_runs[0].place / f"run-{KEY}.wandb.synced").touch()
    Wandb("p").start(Begun(plain, tmp_path / KEY, {}))
    assert not folder.exists()


def test_a_run_without_predictions_has_no_table_of_them(tracker, wandb_runs, a_result):
    tracker.finished(Ended(a_result(key=KEY), [], [], {}))
    assert wandb_runs[0].rows == []
