"""`hydra/launcher=slurm`: the jobs of a sweep as a job array of Slurm, for which it waits.

The array is that of `sermm submit`: every job is a single run in processes of its own, and so its
exit status is Slurm's, signals reach the run itself, and a requeued run goes on where it stopped.
With submitit's launcher, which calls the sweep's function inside its own process, a failed job is
COMPLETED to Slurm, and a preempted one is started again by submitit behind the run's back.
"""

# No `from __future__ import annotations` here: Hydra's scan of the plugins would fail.
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, setup_globals
from omegaconf import OmegaConf

from hydra_plugins.sermm_launchers._launcher import SweepLauncher


class SlurmLauncher(SweepLauncher):
    """Submits what is left to do, and waits for it.

    Args:
        folds: as of `gpu_pool`.
        settings: those of `conf/submit`.
    """

    def __init__(self, folds: Sequence[int] | None = None, **settings: Any) -> None:
        super().__init__(folds)
        resolved: Any = OmegaConf.to_container(OmegaConf.create(settings), resolve=True)
        self.settings: Mapping[str, Any] = resolved

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
            KeyboardInterrupt: the wait was ended; the jobs go on in Slurm.
        """
        from sermm.sweeps.board import Board
        from sermm.sweeps.launch import Launch
        from sermm.sweeps.slurm.queue import queued

        setup_globals()
        words_of_jobs = self.by_fold(job_overrides)
        configs = [self.composed(words) for words in words_of_jobs]
        sweep: Any = getattr(self.task_function, "__self__", None)
        study_dir = (Path(str(self.config.runs_dir)) / str(self.config.study)).absolute()
        with Board(len(words_of_jobs), len(words_of_jobs)) as board:
            launch = Launch(sweep, study_dir, words_of_jobs, board)
            jobs = list(launch.jobs(configs, queued(study_dir)))
            if jobs:
                self._run(study_dir, jobs, launch.ended, board.show)
        return self.returned(study_dir, words_of_jobs, launch.values)

    def _run(self, study_dir: Path, jobs: Sequence[Any], ended: Any, watch: Any) -> None:
        """Submits the jobs that are left, and waits for them.

        Args:
            study_dir: of the runs, absolute.
            jobs: of `Launch`; their words for Hydra itself are not handed on: the script has its
                own.
            ended: called with each job that has left the queue.
            watch: called now and then with the jobs that run.
        """
        from sermm.configuration.groups import TrainerConfig
        from sermm.configuration.slurm import SubmitConfig
        from sermm.runs.plans import PlannedJob
        from sermm.sweeps.slurm.handing import hand_over
        from sermm.sweeps.slurm.settings import SlurmSettings
        from sermm.sweeps.slurm.wait import await_jobs

        trainers = [TrainerConfig.read(job.handed["trainer"], "trainer") for job in jobs]
        planned = [PlannedJob(tuple(w for w in job.words if w[:6] != "hydra.")) for job in jobs]
        asked = SubmitConfig.read(self.settings, "hydra.launcher")
        settings = SlurmSettings.for_all(asked, trainers)
        handed = hand_over(study_dir, planned, settings)
        if handed.left.busy:
            print(f"{handed.left.busy} runs are in Slurm's queue already", flush=True)
        if handed.ids:
            n, ids = len(handed.left.missing), ", ".join(handed.ids)
            print(f"submitted {n} runs as Slurm job {ids}", *handed.lines(settings), sep="\n")
        print("waiting; the same command goes on from here", flush=True)
        try:
            await_jobs(study_dir, jobs, ended, watch)
        except KeyboardInterrupt:
            print("the runs go on in Slurm; scancel stops them", flush=True)
            raise
