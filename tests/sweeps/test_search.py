"""The sweeper that searches, with a launcher that makes nothing."""

import logging
import shlex
import sys
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from hydra_plugins.sermm_launchers._launcher import TrialReturn
from hydra_plugins.sermm_launchers.gpu_pool import GpuPoolLauncher
from hydra_plugins.sermm_launchers.slurm import SlurmLauncher
from hydra_plugins.sermm_search.search import SearchSweeper
from sermm.configuration.compose import BASE, conf_dir, is_sweep, with_hydra
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.runs.plans import Note, PlannedJob, write_note, write_plan
from sermm.runs.trials import read_search

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
        sweeper = SearchSweeper(**{"storage": storage, "study_name": "s", "seed": 0, **settings})
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


def rates(jobs):
    return settings_of(jobs, "lr")


def near(job):
    """A value with its best at a rate of 0.3."""
    return -abs(float(job["lr"]) - 0.3)


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler", "QMCSampler"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_search_that_goes_on_chooses_as_one_that_never_ended(search, tmp_path, sampler):
    def trials(name, *numbers, **more):
        storage = f"sqlite:///{tmp_path}/{name}.db"
        own = {"storage": storage, "sampler": sampler, **more}
        found = [search(["lr=interval(0,1)"], near, n_trials=n, **own) for n in numbers]
        return [rate for jobs in found for rate in rates(jobs)]

    whole, again, parts = trials("a", 13), trials("b", 13), trials("c", 8, 5)
    assert whole == again == parts
    assert len(set(whole)) == 13
    if sampler == "RandomSampler":
        assert not set(whole) & set(trials("d", 13, seed=1))


def test_the_seed_of_the_runs_is_that_of_the_sampler():
    def seed(*words):
        with initialize_config_dir(str(conf_dir()), **BASE):
            given = ["search=optuna", "data=demo", *words]
            return compose("train", given, return_hydra_config=True).hydra.sweeper.seed

    assert (seed(), seed("seed=7"), seed("hydra.sweeper.seed=null")) == (0, 7, None)


def test_no_search_looks_at_the_test_part(search, monkeypatch):
    assert RunConfig.of(["search=optuna", "data=demo"]).withhold_test
    refused = pytest.raises(InputError, match="its trials never look at the test part")
    with refused:
        search(["lr=interval(0,1)", "withhold_test=true,false"], near)
    plugins = SimpleNamespace(instantiate_launcher=lambda **given: None)
    monkeypatch.setattr(Plugins, "instance", staticmethod(lambda: plugins))
    config = OmegaConf.create({"withhold_test": False, "hydra": {"sweep": {"dir": "s"}}})
    with refused:
        SearchSweeper().setup(hydra_context=None, task_function=None, config=config)


@pytest.fixture
def with_runs(search, tmp_path, a_run, monkeypatch):
    """Searches with a run for each trial, of a protocol with five folds."""

    def returned(self, value):
        number = len(list(tmp_path.glob("t*-f1")))
        run = a_run(tmp_path, "late_fusion", [[1, 0], [0, 1]], system=f"t{number}", withheld=True)
        done = TrialReturn(status=JobStatus.COMPLETED, runs=(run.name,))
        done.return_value = value
        return done

    monkeypatch.setattr(Launcher, "_returned", returned)
    return search


def test_a_search_ends_with_the_best_trial_and_the_command_that_trains_it(
    with_runs, tmp_path, capsys
):
    words = ["search=optuna", "study='my search'", "model=caf", "fold=2", "+x='a b'", "seed=3"]
    (best,) = rates(with_runs([*words, "lr=interval(0,1)"], lambda job: 0.75, n_trials=1))
    assert f"best of 1 trials: 0.750 with lr={best} (trial 0)" in capsys.readouterr().out
    command = shlex.split(read_search(tmp_path).command)
    assert command == [
        "sermm", "train", "-m", "model=caf", "+x='a b'", "seed=3", f"lr={best}", "fold=range(1,6)",
        f"study={tmp_path.name}-best",
    ]  # fmt: skip


def test_how_runs_are_launched_is_in_the_command_too(with_runs, tmp_path, monkeypatch):
    plugins = SimpleNamespace(instantiate_launcher=lambda **given: Launcher(near))
    monkeypatch.setattr(Plugins, "instance", staticmethod(lambda: plugins))
    told = ["hydra.launcher.cpu_slots=3", "hydra.launcher.folds=[1,2]", "hydra.sweeper.n_trials=1"]
    config = {
        "sweep": {"dir": str(tmp_path)},
        "overrides": {"hydra": [*told, "hydra.mode=MULTIRUN"]},
    }
    sweeper = SearchSweeper(n_trials=1, seed=0)
    config = OmegaConf.create({"withhold_test": True, "hydra": config})
    sweeper.setup(hydra_context=None, task_function=None, config=config)
    sweeper.sweep(["lr=interval(0,1)", "withhold_test=true"])
    command = shlex.split(read_search(tmp_path).command)
    assert [word for word in command if "hydra" in word] == ["hydra.launcher.cpu_slots=3"]
    assert not [word for word in command if "withhold" in word]


def test_trials_are_written_down_with_their_runs_as_they_end(with_runs, tmp_path):
    with_runs(["lr=interval(0,1)"], near, n_trials=2)
    found = read_search(tmp_path)
    assert [trial.number for trial in found.trials] == [0, 1]
    assert [trial.runs for trial in found.trials] == [("t0-loso4-s1-f1",), ("t1-loso4-s1-f1",)]
    assert found.best == max(found.trials, key=lambda trial: trial.value).number


def test_a_trial_that_was_stopped_is_not_among_them(search, tmp_path):
    def stop(job):
        if float(job["lr"]) != first:
            raise KeyboardInterrupt
        return 0.5

    first = float(rates(search(["lr=interval(0,1)"], near, n_trials=1))[0])
    with pytest.raises(KeyboardInterrupt):
        search(["lr=interval(0,1)"], stop, n_trials=1)
    search(["lr=interval(0,1)"], near, n_trials=1)
    assert [trial.number for trial in read_search(tmp_path).trials] == [0, 2]


def test_what_optuna_says_has_no_colours(search, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    search(["lr=interval(0,1)"], near, n_trials=1)
    handler = logging.getLogger("optuna").handlers[0]
    record = logging.LogRecord("optuna", logging.WARNING, "", 0, "slow", None, None)
    assert handler.format(record) == "optuna: slow"


@pytest.mark.parametrize("name", ["gpu_pool", "slurm"])
def test_both_launchers_make_a_trial_of_its_folds(name, tmp_path):
    with initialize_config_dir(str(conf_dir()), **BASE):
        words = ["search=optuna", "data=demo", "hydra.launcher.folds=[1,3]"]
        words += [f"hydra/launcher={name}"]
        cfg = compose("train", words, return_hydra_config=True).hydra.launcher
    settings = {k: v for k, v in OmegaConf.to_container(cfg, resolve=True).items() if k[0] != "_"}
    launcher = {"gpu_pool": GpuPoolLauncher, "slurm": SlurmLauncher}[name](**settings)
    jobs = launcher.by_fold([["lr=1"], ["lr=2"]])
    assert jobs == [["lr=1", "fold=1"], ["lr=1", "fold=3"], ["lr=2", "fold=1"], ["lr=2", "fold=3"]]
    write_plan(tmp_path, [PlannedJob(tuple(words)) for words in jobs])
    write_note(tmp_path, jobs[0], Note(key="found"))
    write_note(tmp_path, jobs[1], Note(begun="made"))
    write_note(tmp_path, jobs[2], Note(begun="failed"))
    first, second = launcher.returned(tmp_path, jobs, [0.5, 0.75, None, 0.5])
    assert (first.return_value, first.runs) == (0.625, ("found", "made"))
    assert (second.return_value, second.runs) == (None, ("failed",))
    assert "folds" not in getattr(launcher, "settings", {})


def test_folds_are_nothing_to_search(tmp_path):
    sweeper = SearchSweeper(n_trials=1, params={"fold": "range(1,6)", "lr": "interval(0,1)"})
    sweeper.folder, sweeper.launcher = tmp_path, Launcher(near)
    sweeper.launcher.folds = ["fold=1", "fold=2"]
    with pytest.raises(InputError, match=r"leave fold= out"):
        sweeper.sweep(["fold=1,2"])
    sweeper.sweep([])
    assert [word.split("=")[0] for word in sweeper.launcher.jobs[0]] == ["lr"]


def test_the_command_is_that_of_the_trials_own_words(with_runs, tmp_path):
    with_runs(["lr=interval(0,1)", "epochs=9"], lambda job: 0.75, n_trials=1)
    with_runs(["lr=interval(0,1)", "epochs=2"], lambda job: 0.5, n_trials=1)
    assert "epochs=9" in read_search(tmp_path).command
