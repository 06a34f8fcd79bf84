"""Trackers alone: what they are told when a run goes on, and when they fail."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest
import wandb
from lightning import LightningModule, Trainer

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.runs.folder import BY_SIGNAL, RunFolder
from sermm.runs.slurm.job import SlurmJob, ending
from sermm.tracking import names as tracked
from sermm.tracking import tensorboard as tracked_tensorboard
from sermm.tracking.dashboard import dashboard
from sermm.tracking.study import Project, project_of
from sermm.tracking.tracker import Begun, Stop, Tracker
from sermm.tracking.wandb_record import NOTE, staged, uploaded
from sermm.tracking.wandb_run import Wandb, project_name
from sermm.tracking.watched import Watched, epochs_of
from sermm.tracking.watched import tracked as watched_run

KEY = "0123456789abcdef"
JOB = SlurmJob("7", 2, 1, 1, 0)


def epochs(n):
    return [{"epoch": float(k), "val/ua": k / 10} for k in range(1, n + 1)]


def tell(plain, folder, n):
    tracker = Wandb("p")
    tracker.start(Begun(plain, folder, {}))
    tracker.epochs(epochs(n))


def test_an_offline_run_that_goes_on_is_one_whole_record(plain, tmp_path, wandb_runs):
    folder = tmp_path / KEY
    tell(plain, folder, 2)
    tell(plain, folder, 4)
    first, second = wandb_runs
    assert first.steps == [1, 2]
    assert second.steps == [1, 2, 3, 4]
    assert second.rows[2] == {"epoch": 3.0, "val/ua": 0.3}
    assert list((folder / "wandb").iterdir()) == [second.place]


def test_what_was_uploaded_is_followed_by_what_came_after(plain, tmp_path, wandb_runs):
    folder = tmp_path / KEY
    tell(plain, folder, 2)
    (wandb_runs[0].place / f"run-{KEY}.wandb.synced").touch()
    tell(plain, folder, 3)
    tell(plain, folder, 4)
    assert [run.steps for run in wandb_runs] == [[1, 2], [3], [3, 4]]
    assert set((folder / "wandb").iterdir()) == {wandb_runs[0].place, wandb_runs[2].place}


def test_online_the_server_says_where_to_go_on(plain, tmp_path, monkeypatch, wandb_runs):
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    init = wandb.init
    monkeypatch.setattr(wandb, "init", lambda **about: init(**about, starting_step=3))
    tell(plain, tmp_path / KEY, 4)
    (run,) = wandb_runs
    assert run.steps == [3, 4]
    assert uploaded([run.place]) == [run.place]


def test_each_epoch_is_told_once(plain, tmp_path, wandb_runs):
    tracker = Wandb("p")
    tracker.start(Begun(plain, tmp_path / KEY, {}))
    for n in (1, 2, 2, 3):
        tracker.epochs(epochs(n))
    assert wandb_runs[0].steps == [1, 2, 3]
    assert '"next_step": 4' in (wandb_runs[0].place / NOTE).read_text()


def test_without_an_answer_the_run_is_kept_offline(
    plain, tmp_path, monkeypatch, wandb_runs, capsys
):
    init, torn_down = wandb.init, []

    def unanswered(**about):
        if about.get("mode") != "offline":
            raise wandb.errors.CommError("no\nroute")
        assert torn_down
        return init(**about)

    monkeypatch.setattr(wandb, "login", lambda **_: True)
    monkeypatch.setattr(wandb, "init", unanswered)
    monkeypatch.setattr(wandb, "teardown", lambda: torn_down.append(1))
    tell(plain, tmp_path / KEY, 1)
    assert wandb_runs[0].steps == [1]
    said = capsys.readouterr().err
    assert "kept offline: no route" in said
    assert f"wandb sync {wandb_runs[0].place}" in said


def test_without_a_key_wandb_is_not_asked(tmp_path):
    script = "from sermm.tracking.wandb_record import reachable; print(reachable())"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "HOME": str(tmp_path), "NETRC": str(tmp_path / "none")},
    )
    assert done.stdout == "False\n", done.stderr


class Broken(Tracker):
    """Fails at the given word."""

    def __init__(self, where):
        self.where, self.heard = where, []

    def _hear(self, what):
        self.heard.append(what)
        if what == self.where:
            raise RuntimeError(f"{what}\nis broken")

    def start(self, begun):
        self._hear("start")

    def epochs(self, rows):
        self._hear("epochs")

    def stop(self, stop):
        self._hear("stop")


@pytest.mark.parametrize(
    ("where", "heard"),
    [
        ("start", ["start", "stop"]),
        ("epochs", ["start", "epochs", "stop"]),
        ("stop", ["start", "epochs", "epochs", "stop", "stop"]),
    ],
)
def test_what_befalls_a_tracker_is_one_line(where, heard, tmp_path, capsys):
    tracker = Broken(where)
    watched = Watched(tracker, Begun(RunConfig.of(["data=demo"]), tmp_path, {}))
    watched.start()
    for _ in range(2):
        watched.on_train_epoch_end(Trainer(accelerator="cpu", logger=False), LightningModule())
    watched.stop(Stop("finished"))
    assert tracker.heard == heard
    assert capsys.readouterr().err == (
        f"  Broken is not told of this run any more: {where} is broken\n"
    )


def end_of(folder, monkeypatch, error, state=None, said=None):
    """How a tracker is told that a run ended whose body raised, and whose folder says something."""
    ended = []
    monkeypatch.setattr(Tracker, "stop", lambda self, stop: ended.append(stop))
    config = RunConfig.of(["data=demo", "logger=none"])
    with suppress(type(error)), watched_run(config, folder, {}) as watched:
        watched.start()
        if state is not None:
            RunFolder(folder).write_status(state, said)
        if error is not None:
            raise error
    (stop,) = ended
    return stop


def test_a_run_ends_for_its_tracker_as_it_ended(tmp_path, monkeypatch):
    assert end_of(tmp_path, monkeypatch, None) == Stop("finished")
    trace = "Traceback:\n  line 3\nRuntimeError: no room"
    found = end_of(tmp_path, monkeypatch, RuntimeError("no room"), "failed", trace)
    assert found == Stop("failed", "RuntimeError: no room")
    late = end_of(tmp_path, monkeypatch, KeyboardInterrupt(), "finished")
    assert late == Stop("finished")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("preempted: SIGUSR1 from Slurm, job 7_2 requeued", "preempted"),
        ("preempted, but scontrol requeue failed: no; sermm retry submits it again", "preempted"),
        (f"SIGTERM: {ending(JOB, {'Restarts': '1'})}", "preempted"),
        (f"SIGTERM: {ending(JOB, {})}", "cancelled"),
        (
            f"SIGTERM: {ending(JOB, {'Reason': 'TimeLimit', 'TimeLimit': '00:01:00'})}",
            "interrupted",
        ),
        (BY_SIGNAL, "interrupted"),
    ],
)
def test_a_run_that_was_stopped_has_not_failed(said, state, tmp_path, monkeypatch):
    found = end_of(tmp_path, monkeypatch, KeyboardInterrupt(), "interrupted", said)
    assert found == Stop(state, said)


def test_a_tracker_is_not_told_of_the_end_of_what_has_not_begun(tmp_path, monkeypatch, capsys):
    ended = []
    monkeypatch.setattr(Tracker, "stop", lambda self, stop: ended.append(stop))
    config = RunConfig.of(["data=demo", "logger=none"])
    with pytest.raises(InputError), watched_run(config, tmp_path, {}):
        raise InputError("no such corpus")
    assert not ended
    assert not capsys.readouterr().err


def test_epochs_are_read_from_metrics_csv(tmp_path):
    assert epochs_of(tmp_path) == []
    (tmp_path / "metrics.csv").write_text("epoch,val/ua,overfit/wa_ratio\n1,0.25,\n2,0.5,1.5\n")
    assert epochs_of(tmp_path) == [
        {"epoch": 1, "val/ua": 0.25},
        {"epoch": 2, "val/ua": 0.5, "overfit/wa_ratio": 1.5},
    ]


def test_a_configuration_becomes_one_level():
    deep = {"a": 1, "b": {"c": [1, {"d": 2}], "e": {"f": None}}, "g": {}}
    assert tracked.flat(deep) == {"a": 1, "b/c": [1, {"d": 2}], "b/e/f": None, "g": {}}


def test_tags_say_what_must_be_known_of_a_figure(plain):
    odd = plain.changed(
        {"select_on_test": True, "text.source": "asr:tiny", "protocol.name": "random6_leaky"}
    )
    assert tracked.tags(odd) == [
        "demo",
        "random6_leaky",
        "majority",
        plain.features.mode,
        "text_asr:tiny",
        "leaky",
        "selected_on_test",
    ]


def test_projects_have_names_that_wandb_takes():
    assert project_name("a/b:c#1") == "a-b-c-1"
    assert len(project_name("x" * 200)) == 128


def test_a_study_without_runs_has_no_project(tmp_path):
    with pytest.raises(InputError, match="no run folder"):
        project_of(tmp_path, None, None)


def test_matrices_are_markdown_for_tensorboard():
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")]
    found = tracked_tensorboard.markdown(
        [{"label": label, "predicted": predicted} for label, predicted in pairs], ["a", "b"]
    )
    assert found.splitlines()[2:] == ["| a | 1 | 1 |", "| b | 0 | 2 |"]


def test_tensorboard_that_is_missing_is_named(plain, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    Watched(tracked_tensorboard.TensorBoard(), Begun(plain, tmp_path, {})).start()
    assert "pip install 'sermm[tensorboard]'" in capsys.readouterr().err


def test_staged_files_go_where_they_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", "before")
    with staged(tmp_path):
        assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "wandb")
    assert os.environ["WANDB_DATA_DIR"] == "before"
    monkeypatch.delenv("WANDB_DATA_DIR")
    with staged(tmp_path):
        pass
    assert "WANDB_DATA_DIR" not in os.environ


# Inside wandb-workspaces.
@pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")
def test_a_dashboard_is_created_once_and_then_updated(tmp_path, monkeypatch):
    pytest.importorskip("wandb_workspaces")
    from sermm.tracking import workspace as tracked_workspace

    saved = {}

    def address(made):
        return next((name for name, one in saved.items() if one is made), None)

    def keep(made):
        saved[address(made) or f"{type(made).__name__} {len(saved)}"] = made
        return made

    def find(url):
        return saved[url]

    for kind in (tracked_workspace.ws.Workspace, tracked_workspace.wr.Report):
        monkeypatch.setattr(kind, "save", keep)
        monkeypatch.setattr(kind, "from_url", staticmethod(find))
        monkeypatch.setattr(kind, "url", property(address))
        monkeypatch.setattr(kind, "__setattr__", object.__setattr__)
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(default_entity="me"))

    boards = [dashboard(Project("s", "p", None, names)) for names in (("ang",), ("ang", "sad"))]
    first = tracked_workspace.save(boards[0], "one", tmp_path)
    assert first == {"workspace": "Workspace 0", "report": "Report 1"}
    assert tracked_workspace.save(boards[1], "two", tmp_path) == first
    assert len(saved) == 2
    assert saved["Workspace 0"].entity == "me"
    assert saved["Report 1"].blocks[0].text == "two"
    assert "test/recall_sad" in json.dumps(saved["Workspace 0"]._spec)

    del saved["Report 1"]
    assert tracked_workspace.save(boards[1], "three", tmp_path)["workspace"] == "Workspace 0"
    assert sorted(saved) == ["Report 1", "Workspace 0"]
    monkeypatch.setattr(wandb, "Api", lambda: 1 / 0)
    with pytest.raises(InputError, match="upload the runs first"):
        tracked_workspace.save(boards[1], "four", tmp_path)
