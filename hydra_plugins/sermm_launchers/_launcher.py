"""What the launchers of this project share.

Hydra looks for launchers in the modules of `hydra_plugins` without a leading underscore, and
imports them whenever it starts: so what takes time is imported where it is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sermm.configuration.sweep_loader import SweepLoader


@dataclass
class TrialReturn(JobReturn):
    """What a trial of a search came to.

    Attributes:
        runs: the keys of its runs, by fold; those that were refused have none.
    """

    runs: tuple[str, ...] = ()


class SweepLauncher(Launcher):
    """Takes what Hydra gives every launcher, and composes the configuration of a job from it.

    Args:
        folds: of every trial, for a sweeper that searches; none: a job is a trial.
    """

    def __init__(self, folds: Sequence[int] | None) -> None:
        self.folds = [f"fold={fold}" for fold in folds or ()]

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps it, and has the sweeper that shares the context compose as the jobs are.

        Args:
            hydra_context: loads configurations.
            task_function: `sermm.sweeps.sweep.Sweep.job`, whose `Sweep` takes in the results.
            config: of the sweep; a job's own is composed from it and the job's words.
        """
        hydra_context.config_loader = SweepLoader(hydra_context.config_loader)
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def composed(self, words: Sequence[str]) -> DictConfig:
        """The configuration of a job, without Hydra's own part."""
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(words))

    def by_fold(self, trials: Sequence[Sequence[str]]) -> list[list[str]]:
        """The words of the jobs that trials are made of, those of each trial one after another."""
        parts = [[fold] for fold in self.folds] or [[]]
        return [[*words, *part] for words in trials for part in parts]

    def returned(
        self, study_dir: Path, jobs: Sequence[Sequence[str]], values: Sequence[float | None]
    ) -> list[TrialReturn]:
        """What the trials came to, in the form that Hydra's sweepers read.

        Args:
            study_dir: of their runs.
            jobs: as `by_fold` gave them.
            values: validation UA of each job.

        Returns:
            For each trial the mean over its jobs, None if one of them has none.
        """
        n = max(len(self.folds), 1)
        starts = range(0, len(jobs), n)
        return [_trial(study_dir, jobs[i : i + n], values[i : i + n]) for i in starts]


def _trial(
    study_dir: Path, jobs: Sequence[Sequence[str]], values: Sequence[float | None]
) -> TrialReturn:
    from sermm.runs.plans import job_id, read_note

    notes = [read_note(study_dir, job_id(words)) for words in jobs]
    keys = [note.key or note.begun for note in notes if note is not None]
    returned = TrialReturn(status=JobStatus.COMPLETED, runs=tuple(filter(None, keys)))
    known = [value for value in values if value is not None]
    returned.return_value = sum(known) / len(known) if len(known) == len(values) else None
    return returned
