"""The runs of a sweep as single runs, without running any.

`sermm submit` hands all jobs to Slurm before the first one runs, so the list must be known. Hydra
has no call for that, and so its own sweeper's parser is asked: whatever `sermm train -m` takes is
taken here too.
"""

import shlex
from collections.abc import Hashable, Sequence
from typing import cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sermm.configuration.compose import BASE, conf_dir, explain, first_of_sweep, globbed
from sermm.configuration.identity import run_key
from sermm.configuration.sweep_loader import SweepLoader
from sermm.configuration.verbs import RunConfig
from sermm.configuration.words import readable
from sermm.core.errors import InputError
from sermm.runs.plans import PlannedJob

_BASIC = f"{BasicSweeper.__module__}.{BasicSweeper.__qualname__}"


def expand(words: Sequence[str], *, multirun: bool) -> tuple[PlannedJob, ...]:
    """The jobs that `sermm train` with these words would run, as Hydra's own sweeper makes them.

    Args:
        words: overrides, with sweeps such as `fold=1,2` where it is a multirun.
        multirun: whether `-m` was given; an experiment can say so too.

    Returns:
        One job for each combination of values, in Hydra's order; the only one where nothing is
        swept. Words for Hydra itself (`hydra.launcher...`) are left out, as they are no part of a
        run. A job whose words another one has is left out too (`seed=0,0`).

    Raises:
        InputError: a word cannot be read, or the sweep's jobs depend on results.
    """
    GlobalHydra.instance().clear()
    words = globbed(readable(words))
    try:
        with initialize_config_dir(str(conf_dir()), **BASE):
            cfg = hydra_compose("train", first_of_sweep(words), return_hydra_config=True)
            parser = OverridesParser.create(GlobalHydra.instance().config_loader())
            task = [word for word in words if not _is_hydras(word)]
            swept = any(o.is_sweep_override() for o in parser.parse_overrides(task))
            if not (multirun or swept or str(cfg.hydra.mode).endswith("MULTIRUN")):
                return (PlannedJob(tuple(task)),)
            given = [*readable(_params(cfg)), *task]
            (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(given), None)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(f"{explain(error)} (given: {' '.join(words)})") from error
    planned = [PlannedJob(tuple(job)) for job in jobs]
    return _distinct(planned, [job.id for job in planned])[0]


def distinct(
    jobs: Sequence[PlannedJob], configs: Sequence[RunConfig]
) -> tuple[tuple[PlannedJob, ...], tuple[str, ...]]:
    """The jobs that are runs of their own: two of one study and key are one run.

    Args:
        jobs: of a sweep.
        configs: what their words compose to.

    Returns:
        The first job of each run, and a line for each of the others that says which run it is.
    """
    return _distinct(jobs, [(config.study_dir, run_key(config)) for config in configs])


_MOST_ERRORS = 5


def composed(jobs: Sequence[PlannedJob]) -> tuple[RunConfig, ...]:
    """The configuration of each job.

    Raises:
        InputError: some cannot be composed, or they are not of one study.
    """
    configs: list[RunConfig] = []
    wrong: list[str] = []
    for job, config in zip(jobs, _at_once(jobs), strict=True):
        try:
            # What failed is composed by itself, with all that is said of one run.
            configs.append(config or RunConfig.of(job.words))
        except InputError as error:
            wrong.append(f"{shlex.join(job.words)}: {str(error).partition(' (given: ')[0]}")
    if wrong:
        more = len(wrong) - _MOST_ERRORS
        raise InputError(
            f"{len(wrong)} of {len(jobs)} jobs cannot be composed, and none was submitted: "
            + "; ".join([*wrong[:_MOST_ERRORS], *([f"and {more} more"] if more > 0 else [])])
        )
    if len(studies := {str(config.study_dir) for config in configs}) > 1:
        raise InputError(
            f"what is submitted at once belongs to one study, not to {', '.join(sorted(studies))}"
        )
    return tuple(configs)


def _at_once(jobs: Sequence[PlannedJob]) -> list[RunConfig | None]:
    """The configuration of each job, files read once for all; None of those that fail."""
    found: list[RunConfig | None] = []
    with initialize_config_dir(str(conf_dir()), **BASE):
        loader = SweepLoader(cast(ConfigLoaderImpl, GlobalHydra.instance().config_loader()))
        sweep = loader.load_configuration("train", [], run_mode=RunMode.MULTIRUN)
        for job in jobs:
            try:
                found.append(RunConfig.from_hydra(loader.load_sweep_config(sweep, job.words)))
            except (HydraException, OmegaConfBaseException, ValueError):
                found.append(None)
    return found


def _distinct(
    jobs: Sequence[PlannedJob], keys: Sequence[Hashable]
) -> tuple[tuple[PlannedJob, ...], tuple[str, ...]]:
    first: dict[Hashable, PlannedJob] = {}
    lines = []
    for job, key in zip(jobs, keys, strict=True):
        if first.setdefault(key, job) is not job:
            lines.append(same_run(job.words, first[key].words))
    return tuple(first.values()), tuple(lines)


def same_run(words: Sequence[str], first: Sequence[str]) -> str:
    """That a job is the same run as one before it, in one line with the words that differ.

    Args:
        words: of the job.
        first: of the one before it.
    """
    own, others = (
        [w for w in one if w not in two] for one, two in ((words, first), (first, words))
    )
    return f"{_said(own, words)} is the same run as {_said(others, first)}: made once"


def _said(own: Sequence[str], words: Sequence[str]) -> str:
    """What of a job's words another one has not; all of them where there is no such word."""
    return shlex.join(own or words)


def _is_hydras(word: str) -> bool:
    return word.lstrip("+~").startswith(("hydra.", "hydra/"))


def _params(cfg: DictConfig) -> list[str]:
    """What an experiment sweeps over, as words; Hydra takes them before those that were typed.

    Raises:
        InputError: by another sweeper than Hydra's own.
    """
    sweeper = cfg.hydra.sweeper
    if sweeper._target_ != _BASIC:
        raise InputError(
            f"{sweeper._target_} chooses its next runs by the results of the last ones, and only "
            "a sweep over given values can be submitted at once; use sermm train -m "
            "hydra/launcher=slurm, which waits"
        )
    return [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
