"""`search=optuna`: Optuna chooses the settings of each trial by what the trials before came to.

Hydra's own plugin for this wants an Optuna of 2021; any from 4 on will do here. Hydra imports this
module whenever it starts: so Optuna is imported where it is used.
"""

# No `from __future__ import annotations` here: Hydra's scan of the dataclass would fail.
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, Transformer
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.sermm_search._record import best_of, keep, settings_of, write_record
from sermm.core.errors import InputError
from sermm.core.figures import fixed

_RESULTS = "optimization_results.yaml"


@dataclass
class SearchConfig:
    """Settings of the sweeper: `hydra.sweeper.<name>=...`.

    Attributes:
        storage: where the trials are kept, a URL of Optuna.
        study_name: of the search in there.
        direction: maximize or minimize.
        n_trials: of this command; the same command makes as many more.
        n_jobs: trials at a time.
        max_failure_rate: a failed trial is left out; once more than this share of `n_trials` has
            failed, the search ends.
        sampler: a class of `optuna.samplers`.
        seed: of the sampler: the same search chooses the same trials, also where it was ended and
            went on; null = others each time.
        params: words of an experiment, such as `model.learning.lr: interval(0.001, 0.1)`.
    """

    _target_: str = "hydra_plugins.sermm_search.search.SearchSweeper"
    storage: str | None = None
    study_name: str | None = None
    direction: str = "maximize"
    n_trials: int = 20
    n_jobs: int = 1
    max_failure_rate: float = 0.5
    sampler: str = "TPESampler"
    seed: int | None = None
    params: dict[str, Any] | None = None


ConfigStore.instance().store(
    group="hydra/sweeper", name="sermm_search", node=SearchConfig, provider="sermm"
)


class SearchSweeper(Sweeper):
    """Asks Optuna for trials, and has the launcher make them.

    Args:
        settings: as in `SearchConfig`.
    """

    def __init__(self, **settings: Any) -> None:
        resolved: Any = OmegaConf.to_container(OmegaConf.create(settings), resolve=True)
        self.settings = SearchConfig(**resolved)
        # Of the command, those that Hydra does not hand on: how the runs are launched.
        self.hydra_words: list[str] = []

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Makes the launcher.

        Args:
            hydra_context: loads configurations.
            task_function: `sermm.sweeps.sweep.Sweep.job`.
            config: of the sweep.

        Raises:
            InputError: its runs would look at the test part.
        """
        if config.get("withhold_test") is False:
            raise _looks_at_the_test_part()
        self.hydra_words = list(OmegaConf.select(config, "hydra.overrides.hydra") or ())
        self.folder = Path(str(config.hydra.sweep.dir))
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Makes the trials, and writes down the best one.

        Args:
            arguments: the words of the command; those that sweep are searched.

        Raises:
            InputError: Optuna is not there, or cannot read what is stored, or runs would look at
                the test part.
            KeyboardInterrupt: there was a signal to stop; the trials are begun again next time.
        """
        study = self._study()
        fixed, space = self._parsed(arguments)
        asked, failed = 0, 0
        while asked < self.settings.n_trials:
            n = min(self.settings.n_jobs, self.settings.n_trials - asked)
            trials = [self._ask(study, space) for _ in range(n)]
            failed += self._made(study, trials, fixed, asked)
            write_record(study, self.folder)
            asked += n
            if failed > self.settings.max_failure_rate * self.settings.n_trials:
                print(f"the search ends: {failed} of {asked} trials failed", file=sys.stderr)
                break
        self._show_best(study)

    def _parsed(self, arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
        """The words that all trials have, and what is searched.

        Raises:
            InputError: folds would be searched, or whether to look at the test part.
        """
        folds = getattr(self.launcher, "folds", None)
        params = self.settings.params or {}
        # An experiment's own folds are those of its sweep, not of a search.
        own = [f"{k}={v}" for k, v in params.items() if not (folds and k == "fold")]
        parsed = OverridesParser.create().parse_overrides([*own, *arguments])
        fixed = [str(one.input_line) for one in parsed if not one.is_sweep_override()]
        space = {one.get_key_element(): _space(one) for one in parsed if one.is_sweep_override()}
        if "withhold_test" in space:
            raise _looks_at_the_test_part()
        if folds and "fold" in space:
            raise InputError(
                "fold is nothing to search: every trial is made on all folds of "
                "hydra.launcher.folds, such as hydra.launcher.folds=[1,2]; leave fold= out"
            )
        return fixed, space

    def _study(self) -> Any:
        settings = self.settings
        try:
            import optuna
        except ImportError as error:
            raise InputError('search=optuna needs Optuna: pip install "sermm[optuna]"') from error
        known = [name for name in optuna.samplers.__all__ if name.endswith("Sampler")]
        if settings.sampler not in known:
            raise InputError(f"hydra.sweeper.sampler={settings.sampler}: there are {known}")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Its own lines are in colour.
        for handler in logging.getLogger("optuna").handlers:
            handler.setFormatter(logging.Formatter("optuna: %(message)s"))
        try:
            return optuna.create_study(
                study_name=settings.study_name,
                storage=settings.storage,
                sampler=self._sampler(0),
                direction=settings.direction,
                load_if_exists=True,
            )
        except RuntimeError as error:
            raise InputError(
                f"{settings.storage} is of another Optuna: `optuna storage upgrade --storage "
                f"'{settings.storage}'` carries it over; its own words: {error}"
            ) from error

    def _sampler(self, number: int) -> Any:
        """What chooses a trial, by a seed of its own.

        So a search that goes on chooses what it would have chosen without an end, and never the
        trials that it began with again.

        Args:
            number: how many trials there are.
        """
        import optuna

        from sermm.core.seeding import seed_of

        settings, seed = self.settings, self.settings.seed
        # The place in a QMC sequence is stored; another seed would be another sequence.
        if seed is not None and settings.sampler != "QMCSampler":
            seed = seed_of("search", seed, number) % 2**32
        return getattr(optuna.samplers, settings.sampler)(seed=seed)

    def _ask(self, study: Any, space: dict[str, Any]) -> Any:
        study.sampler = self._sampler(len(study.trials))
        return study.ask(space)

    def _made(self, study: Any, trials: Sequence[Any], fixed: Sequence[str], first: int) -> int:
        """Has the trials made, and tells Optuna; returns how many failed."""
        jobs = [[*fixed, *settings_of(trial)] for trial in trials]
        try:
            made = self.launcher.launch(jobs, initial_job_idx=first)
        except KeyboardInterrupt:
            for trial in trials:
                study.tell(trial, state=_failed())
                study.enqueue_trial(trial.params)
            raise
        values = [one.return_value for one in made]
        for trial, one, value in zip(trials, made, values, strict=True):
            keep(trial, [*fixed, *self.hydra_words], getattr(one, "runs", ()))
            study.tell(trial, value, state=_failed() if value is None else None)
        return values.count(None)

    def _show_best(self, study: Any) -> None:
        best = best_of(study)
        if best is None:
            print("no trial was finished", file=sys.stderr)
            return
        found = {"name": "optuna", "best_params": best.params, "best_value": best.value}
        OmegaConf.save(OmegaConf.create(found), self.folder / _RESULTS)
        settings = " ".join(settings_of(best))
        n = sum(trial.value is not None for trial in study.trials)
        value = fixed(best.value, 3)
        print(f"best of {n} trials: {value} with {settings} (trial {best.number})", flush=True)


def _looks_at_the_test_part() -> InputError:
    return InputError(
        "withhold_test=false: a search chooses by validation, and its trials never look at the "
        "test part; leave withhold_test out (search=optuna sets it). What a search has found is "
        "trained by the command that it ends with"
    )


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


def _space(override: Override) -> Any:
    """What the values of a sweep are to Optuna."""
    from optuna import distributions

    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        kind = distributions.IntDistribution if whole else distributions.FloatDistribution
        return kind(value.start, value.end, log="log" in value.tags)
    choices = list(override.sweep_iterator(transformer=Transformer.encode))
    if not override.is_range_sweep() or len(choices) == 1:
        return distributions.CategoricalDistribution(choices)
    numbers = sorted(override.sweep_iterator())
    whole = all(isinstance(one, int) for one in numbers)
    kind = distributions.IntDistribution if whole else distributions.FloatDistribution
    return kind(numbers[0], numbers[-1], step=abs(value.step))
