"""A study in W&B: what its dashboard compares, and the names of its systems."""

from types import SimpleNamespace

import pytest
import wandb

from sermm.core.errors import InputError
from sermm.runs.reading.runs import read_study
from sermm.runs.systems import by_table, labels
from sermm.tracking import names as tracked
from sermm.tracking.dashboard import dashboard
from sermm.tracking.study import Project, folds, name_systems, report_names, tidy

WHERE = Project("s", "p", "me", ("ang", "sad"))


def test_means_are_of_systems_and_curves_of_systems_and_of_their_folds():
    board = dashboard(WHERE)
    assert board.group_by == (tracked.PROTOCOL, tracked.SYSTEM)
    by = {
        (section.name, panel.by)
        for section in board.sections
        for panel in section.panels
        if panel.kind in ("bars", "curves")
    }
    assert by == {
        ("Scores", tracked.SYSTEM),
        ("Curves by system: mean and sd over folds and seeds", tracked.SYSTEM),
        ("Curves of each system's folds", tracked.SYSTEM_FOLD),
        ("Classes", tracked.SYSTEM),
    }
    assert tracked.STATUS in board.columns


# Inside wandb-workspaces.
@pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")
def test_a_curve_of_a_system_is_a_mean_with_a_band():
    pytest.importorskip("wandb_workspaces")
    from sermm.tracking.workspace import workspace

    sections = workspace(dashboard(WHERE)).sections
    (curves,) = [section for section in sections if section.name.startswith("Curves by system")]
    for panel in curves.panels:
        assert panel.groupby.name == tracked.SYSTEM
        assert (panel.groupby_aggfunc, panel.groupby_rangefunc) == ("mean", "stddev")


@pytest.fixture
def study(system, tmp_path):
    """Two systems of one model, two folds each."""
    folder = tmp_path / "s"
    for number, width in enumerate((8, 16)):
        changes = {"system": f"{number}" * 16, "settings": {"model.width": str(width)}}
        metrics = {"test/ua": 0.5 + number / 8}
        system(folder, "caf", [[[2, 2], [1, 3]]] * 2, metrics=metrics, **changes)
    return folder


def test_the_names_of_a_study_are_those_of_its_report(study, system):
    tables = by_table(read_study(study).runs)
    (systems,) = tables.values()
    names = report_names(study)
    assert len(names) == 4
    for key, runs in systems.items():
        for run in runs:
            assert names[run.result.key] == labels(systems)[key]
    assert set(names.values()) == {"caf model.width=8", "caf model.width=16"}


def test_systems_of_two_tables_have_names_apart(study, system):
    system(study, "caf", [[[2, 2], [1, 3]]], protocol="random5", system="2" * 16)
    system(study, "lookup", [[[2, 2], [1, 3]]], protocol="random5", system="3" * 16)
    system(study, "lookup", [[[2, 2], [1, 3]]], system="4" * 16)
    names = set(report_names(study).values())
    assert {"caf", "caf model.width=8", "lookup [33333333]", "lookup [44444444]"} <= names


class Told:
    """A run as W&B's server has it."""

    def __init__(self, key, **config):
        self.id, self.config, self.updates = key, config, 0

    def update(self):
        self.updates += 1


def test_the_dashboard_has_the_names_of_the_report(study, monkeypatch):
    (first, *_) = report_names(study)
    runs = [
        Told(first, fold=1, system="caf [00000000]"),
        Told("another", system="caf"),
    ]
    asked = []

    def found(path, filters):
        asked.append((path, filters))
        return runs

    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(runs=found))
    for _ in range(2):
        name_systems(study, WHERE)
    assert asked[0] == ("me/p", {"config.study": "s"})
    name = report_names(study)[first]
    assert runs[0].config == {"fold": 1, "system": name, "system_fold": f"{name}, fold 1"}
    assert [run.updates for run in runs] == [1, 0]
    monkeypatch.setattr(wandb, "Api", lambda: 1 / 0)
    with pytest.raises(InputError, match="upload the runs first"):
        name_systems(study, WHERE)


def test_a_study_without_finished_runs_keeps_its_names(tmp_path, monkeypatch):
    runs = [Told("0", system="caf [00000000]")]
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(runs=lambda *_, **__: runs))
    (tmp_path / "s").mkdir()
    name_systems(tmp_path / "s", WHERE)
    assert runs[0].updates == 0


def test_a_fold_whose_test_part_was_left_alone_has_no_cell(study, system):
    system(study, "caf", [[[2, 2], [1, 3]]], system="2" * 16, metrics={"val/ua": 0.5}, seed=2)
    rows = folds(study)
    assert [row.get("fold 1") for row in rows] == [0.5, 0.625, None]


def test_copies_of_what_was_synchronised_go(study):
    first, second, *_ = sorted(study.iterdir())
    for folder in (first, second):
        (folder / "wandb/artifacts/staging").mkdir(parents=True)
        (folder / "wandb/offline-run-1-key").mkdir()
    (first / "wandb/offline-run-1-key/run-key.wandb.synced").touch()
    tidy(study)
    assert not (first / "wandb/artifacts").exists()
    assert (second / "wandb/artifacts/staging").exists()
