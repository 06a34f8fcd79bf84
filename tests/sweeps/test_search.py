"""The sweeper that searches, with a launcher that makes nothing."""

import sys
from types import SimpleNamespace

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from hydra_plugins.sermm_search.search import SearchSweeper
from sermm.configuration.compose import is_sweep, with_hydra
from sermm.core.errors import InputError

pytest.importorskip("optuna")


class Launcher:
    """Gives each job the value that `value` makes of its words."""

    def __init__(self, value):
        self.value, self.jobs = value, []

    def launch(self, jobs, initial_job_idx):
        self.jobs += jobs
        return [self._returned(self.value(dict(word.split("=") for word in job))) for job in jobs]

    def _returned(self, value):
        done = JobReturn(status=JobStatus.COMPLETED)
        done.return_value = value
        return done


@pytest.fixture
def search(tmp_path):
    def run(words, value, **settings):
        storage = f"sqlite:///{tmp_path}/search.db"
        sweeper = SearchSweeper(storage=storage, study_name="s", seed=0, **settings)
        sweeper.folder, sweeper.launcher = tmp_path, Launcher(value)
        sweeper.sweep(words)
        return sweeper.launcher.jobs

    return run


def settings_of(jobs, key):
    return [dict(word.split("=") for word in job)[key] for job in jobs]


def test_ranges_and_choices_are_searched_and_the_rest_is_handed_on(search):
    words = ["lr=tag(log,interval(1e-4,1e-1))", "n=int(interval(1,3))", "fold=range(1,4)"]
    jobs = search([*words, "model=a,b", "seed=7"], lambda job: float(job["lr"]), n_trials=12)
    assert len(jobs) == 12
    assert all(1e-4 <= float(rate) <= 1e-1 for rate in settings_of(jobs, "lr"))
    assert set(settings_of(jobs, "n")) <= {"1", "2", "3"}
    # As in a sweep, what a range ends with is not in it.
    assert set(settings_of(jobs, "fold")) == {"1", "2", "3"}
    assert set(settings_of(jobs, "model")) == {"a", "b"}
    assert set(settings_of(jobs, "seed")) == {"7"}


def test_the_best_is_written_down_and_the_next_command_goes_on(search, tmp_path, capsys):
    first = search(["lr=interval(0,1)"], lambda job: float(job["lr"]), n_trials=3)
    more = search(["lr=interval(0,1)"], lambda job: float(job["lr"]), n_trials=2, n_jobs=2)
    best = max(float(rate) for rate in settings_of([*first, *more], "lr"))
    assert OmegaConf.load(tmp_path / "optimization_results.yaml").best_value == best
    assert f"best of 5 trials: {best:.3f} with lr={best}" in capsys.readouterr().out


def test_failed_trials_are_left_out_until_there_are_too_many(search, capsys):
    jobs = search(["lr=interval(0,1)"], lambda job: None, n_trials=10, max_failure_rate=0.3)
    assert len(jobs) == 4
    assert "4 of 4 trials failed" in capsys.readouterr().err


def test_a_trial_that_was_stopped_is_the_next_commands_first(search, capsys):
    seen = []

    def stop(job):
        seen.append(job)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(["lr=interval(0,1)"], stop, n_trials=3)
    (job,) = search(["lr=interval(0,1)"], lambda job: 0.5, n_trials=1)
    assert job == [f"lr={seen[0]['lr']}"]
    assert "best of 1 trials" in capsys.readouterr().out


def test_what_cannot_be_used_is_named(search, monkeypatch):
    with pytest.raises(InputError, match="TPESampler"):
        search(["lr=interval(0,1)"], lambda job: 0.5, sampler="Best")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r'pip install "sermm\[optuna\]"'):
        search(["lr=interval(0,1)"], lambda job: 0.5)


def test_the_launcher_is_hydras(monkeypatch):
    made = {}
    plugins = SimpleNamespace(instantiate_launcher=lambda **given: made.update(given) or "it")
    monkeypatch.setattr(Plugins, "instance", staticmethod(lambda: plugins))
    sweeper = SearchSweeper()
    config = OmegaConf.create({"hydra": {"sweep": {"dir": "runs/s"}}})
    sweeper.setup(hydra_context="context", task_function="job", config=config)
    assert (sweeper.launcher, str(sweeper.folder)) == ("it", "runs/s")
    assert made == {"hydra_context": "context", "task_function": "job", "config": config}


@pytest.mark.parametrize(
    ("words", "many"), [(["search=optuna"], True), (["experiment=demo"], True), (["fold=2"], False)]
)
def test_a_search_and_an_experiment_say_themselves_that_they_are_many_runs(words, many):
    assert is_sweep(with_hydra("train", words)[1]) is many
