"""The jobs of a sweep on their way to processes of their own, in a pool or under Slurm."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.runs.plans import Note, PlannedJob, job_id, log_path, write_note, write_plan
from sermm.sweeps.board import Board
from sermm.sweeps.pool import Job
from sermm.sweeps.sweep import PlannedRun, Sweep


class Launch:
    """The jobs of a sweep on their way through a pool.

    Making it writes the plan of the sweep into the study, so that what has not begun is known to
    `sermm status`.

    Args:
        sweep: takes in what they come to.
        folder: of the study.
        words: of each job.
        board: shows them.

    Attributes:
        values: validation UA of each job; None of those without one.
    """

    def __init__(
        self, sweep: Sweep, folder: Path, words: Sequence[Sequence[str]], board: Board
    ) -> None:
        self._sweep, self._board = sweep, board
        self._folder = folder
        self._words = [tuple(one) for one in words]
        self._running: dict[Job, tuple[int, RunConfig, PlannedRun]] = {}
        self.values: list[float | None] = [None] * len(words)
        write_plan(folder, [PlannedJob(one) for one in self._words])

    def jobs(self, configs: Iterable[DictConfig], queued: Collection[str] = ()) -> Iterator[Job]:
        """What is left to do, each found out when there is a slot for it.

        Args:
            configs: of each job, in the order of their words.
            queued: the ids of those that Slurm has already: they are awaited, though another
                process has their folders.

        Returns:
            Jobs for a pool; those for which nothing is left are counted and passed over.
        """
        for number, (words, cfg) in enumerate(zip(self._words, configs, strict=True)):
            try:
                config = RunConfig.from_hydra(cfg)
                planned = self._sweep.plan(config, words, here=job_id(words) in queued)
            except InputError as error:
                write_note(self._folder, words, Note(error=str(error)))
                self._sweep.fail(f"{' '.join(words)}: {error}")
                planned = None
            if not isinstance(planned, PlannedRun):
                self.values[number] = planned
                self._board.skipped(planned is not None)
                continue
            log = log_path(self._folder, PlannedJob(words))
            job = Job([*words, "hydra.mode=RUN"], log, planned.title, planned.folder.path)
            self._running[job] = (number, config, planned)
            yield job

    def ended(self, job: Job) -> None:
        """Takes in a job whose process has ended."""
        number, config, planned = self._running.pop(job)
        self._board.ended(job)
        self.values[number] = self._sweep.ended(config, planned, job)
