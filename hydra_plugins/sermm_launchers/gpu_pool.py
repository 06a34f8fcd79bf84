"""`hydra/launcher=gpu_pool`: the jobs of a sweep side by side over the GPUs of a node.

Each job is a single run in a process of its own, `sermm train` with the job's words and without
`-m`, so that whatever works by hand works in a sweep: several devices, resuming, Ctrl-C.
"""

# No `from __future__ import annotations` here: Hydra's scan of the dataclass would fail.
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, setup_globals

from hydra_plugins.sermm_launchers._launcher import SweepLauncher


@dataclass
class GpuPoolConfig:
    """Settings of the launcher: `hydra.launcher.<name>=...`.

    Attributes:
        gpus_per_job: of one job; with `trainer.devices` of the same number.
        jobs_per_gpu: at a time, where a job has one GPU.
        cpu_slots: jobs at a time on a node without GPUs; null = one for every two cores,
            two at least.
        folds: for a sweeper that searches: every trial is made on these folds, and its value is the
            mean of their validation UA; null = a job is a trial.
    """

    _target_: str = "hydra_plugins.sermm_launchers.gpu_pool.GpuPoolLauncher"
    gpus_per_job: int = 1
    jobs_per_gpu: int = 1
    cpu_slots: int | None = None
    folds: list[int] | None = None


ConfigStore.instance().store(
    group="hydra/launcher", name="gpu_pool", node=GpuPoolConfig, provider="sermm"
)


class GpuPoolLauncher(SweepLauncher):
    """Hands the jobs that are left to do to a `sermm.sweeps.pool.Pool`.

    Args:
        gpus_per_job: as in `GpuPoolConfig`, likewise the others.
    """

    def __init__(
        self,
        gpus_per_job: int,
        jobs_per_gpu: int,
        cpu_slots: int | None,
        folds: Sequence[int] | None,
    ) -> None:
        super().__init__(folds)
        self.gpus_per_job, self.jobs_per_gpu = gpus_per_job, jobs_per_gpu
        self.cpu_slots = cpu_slots

    def launch(
        self,
        job_overrides: Sequence[Sequence[str]],
        initial_job_idx: int,  # noqa: ARG002 (Hydra's numbering; ours is by words)
    ) -> Sequence[JobReturn]:
        """Runs the jobs; one that fails does not stop the others.

        Args:
            job_overrides: the words of each job.
            initial_job_idx: how many jobs came before; not used.

        Returns:
            Validation UA of each job, or of each trial with `folds`, for sweepers that search.

        Raises:
            KeyboardInterrupt: there was a signal to stop; every run can be resumed.
        """
        from sermm.cli.train import execute
        from sermm.sweeps.board import Board
        from sermm.sweeps.launch import Launch
        from sermm.sweeps.pool import Pool, slots, visible_gpus

        setup_globals()
        jobs = self.by_fold(job_overrides)
        configs = (self.composed(words) for words in jobs)
        shares = slots(visible_gpus(), self.gpus_per_job, self.jobs_per_gpu, self.cpu_slots)
        sweep: Any = getattr(self.task_function, "__self__", None)
        study_dir = Path(str(self.config.runs_dir)) / str(self.config.study)
        with Board(len(jobs), len(shares)) as board:
            launch = Launch(sweep, study_dir, jobs, board)
            Pool(execute, shares, launch.ended, board.show).run(launch.jobs(configs))
        return self.returned(study_dir, jobs, launch.values)
