from types import SimpleNamespace

import pytest
import wandb

from sermm.configuration.verbs import RunConfig


@pytest.fixture
def plain():
    return RunConfig.of(["experiment=demo", "model=majority", "logger=wandb"])


class Run(wandb.Run):
    """A W&B run that keeps what it is told."""

    starting_step, url, offline, dir, summary = 0, None, False, "", None

    def __init__(self, folder, about):
        self.starting_step = about.pop("starting_step", 0)
        self.url = about.pop("url", None)
        self.about = about
        self.offline = about.get("mode") == "offline"
        kind = "offline-run" if self.offline else "run"
        number = len(list(folder.glob("wandb/*run-*")))
        self.place = folder / "wandb" / f"{kind}-{number}-{about['id']}"
        self.dir = str(self.place / "files")
        (self.place / "files").mkdir(parents=True)
        self.steps, self.rows, self.summary, self.defined = [], [], {}, {}
        self.preempting, self.exit, self.artifacts = 0, None, []

    def log(self, what, step, commit):
        assert commit
        self.steps.append(step)
        self.rows.append(what)

    def define_metric(self, name, **how):
        self.defined[name] = how

    def mark_preempting(self):
        self.preempting += 1

    def log_artifact(self, made):
        self.artifacts.append(made)


@pytest.fixture
def wandb_runs(monkeypatch):
    """W&B without its service: offline for want of a key."""
    made = []

    def init(**about):
        made.append(Run(about["dir"], about))
        monkeypatch.setattr(wandb, "run", made[-1])
        return made[-1]

    def finish(exit_code=None):
        if wandb.run is not None:
            wandb.run.exit = exit_code
        monkeypatch.setattr(wandb, "run", None)

    settings = SimpleNamespace(settings=SimpleNamespace(mode="online"))
    monkeypatch.setattr(wandb, "setup", lambda *_: settings)
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(wandb, "finish", finish)
    return made
