"""The jobs of a sweep on their way to processes of their own, in a pool or under Slurm."""

import shlex
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

    Two jobs of one run are one job (`trainer.max_epochs=30` beside a default of 30): the second one
    is not started, and comes to what the first one does.
    """

    def __init__(
        self, sweep: Sweep, folder: Path, words: Sequence[Sequence[str]], board: Board
    ) -> None:
        self._sweep, self._board = sweep, board
        self._folder = folder
        self._words = [tuple(one) for one in words]
        self._running: dict[Job, tuple[int, PlannedRun]] = {}
        self._values: list[float | None] = [None] * len(words)
        # The number of the first job of each run, and of each set of words.
        self._first: dict[Path | str, int] = {}
        self._same: dict[int, int] = {}
        write_plan(folder, [PlannedJob(one) for one in dict.fromkeys(self._words)])

    @property
    def values(self) -> list[float | None]:
        """Validation UA of each job; None of those without one."""
        return [self._values[self._same.get(n, n)] for n in range(len(self._values))]

    def jobs(self, configs: Iterable[DictConfig], queued: Collection[str] = ()) -> Iterator[Job]:
        """What is left to do, each found out when there is a slot for it.

        Args:
            configs: of each job, in the order of their words.
            queued: the ids of those that Slurm has already: they are awaited, though another
                process has their folders.

        Returns:
            Jobs for a pool; those for which nothing is left are counted and passed over.
        """
        for number, cfg in enumerate(configs):
            planned = self._planned(number, cfg, queued)
            if number in self._same:
                self._board.same()
            elif isinstance(planned, PlannedRun):
                yield self._job(number, planned)
            else:
                self._values[number] = planned
                self._board.skipped(planned is not None)

    def _planned(
        self, number: int, cfg: DictConfig, queued: Collection[str]
    ) -> PlannedRun | float | None:
        """What is left of a job; None of one that is refused, or is another one's run."""
        words = self._words[number]
        if self._is_same(number, job_id(words)):
            print(f"{shlex.join(words)}: asked for twice, made once", flush=True)
            return None
        try:
            config = RunConfig.from_hydra(cfg)
            placed = self._sweep.placed(config, words)
        except InputError as error:
            write_note(self._folder, words, Note(error=str(error)))
            self._sweep.fail(f"{shlex.join(words)}: {error}")
            return None
        if placed is None:
            return None
        if self._is_same(number, placed.folder.path):
            self._sweep.same(placed, words, self._words[self._same[number]])
            return None
        return self._sweep.plan(config, placed, here=job_id(words) in queued)

    def _is_same(self, number: int, name: Path | str) -> bool:
        """Whether a job has the words or the folder of one before it."""
        first = self._first.setdefault(name, number)
        if first != number:
            self._same[number] = self._same.get(first, first)
        return first != number

    def _job(self, number: int, planned: PlannedRun) -> Job:
        words = self._words[number]
        log = log_path(self._folder, PlannedJob(words))
        job = Job(words, log, planned.title, planned.folder.path)
        job.handed = planned.config.plain
        self._running[job] = (number, planned)
        return job

    def ended(self, job: Job) -> None:
        """Takes in a job whose process has ended."""
        number, planned = self._running.pop(job)
        self._board.ended(job)
        self._values[number] = self._sweep.ended(planned, job)
