"""What the jobs of one `sermm train` come to: one run or many, in this process or in a pool.

Hydra calls `Sweep.job` once for a single run, or through its own launcher for each of many. Our
launchers (`hydra_plugins.sermm_launchers`) make a `Launch` instead (`sermm.sweeps.launch`):
`Sweep.plan` finds out what is left of each job, a process makes the run, and `Sweep.ended` reads
its folder. Whichever way, one failure is noted and the others go on, and `Sweep.status` prints the
table in the end.

What trains is imported where a run is made in this process: one that only places runs and starts
processes for them does without Lightning, whose import takes seconds.
"""

import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from sermm.configuration.groups import CombineConfig
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.figures import fixed
from sermm.engine.placing import PlacedRun, place
from sermm.protocols.protocol import NoSuchFoldError
from sermm.runs.folder import RunBusyError, RunFolder
from sermm.runs.plans import Note, job_id, read_note, write_note
from sermm.runs.result import Result
from sermm.runs.status import Reported
from sermm.sweeps.expansion import same_run
from sermm.sweeps.pool import Job


@dataclass(frozen=True)
class PlannedRun:
    """A run of a sweep that is to be made by a process of its own.

    Attributes:
        config: as it was asked for.
        folder: of the run.
    """

    config: RunConfig
    folder: RunFolder

    @property
    def title(self) -> str:
        """For people."""
        return self.config.title


class Sweep:
    """The runs that finished and those that did not, and what is made of them in the end.

    A run counts as finished by its folder, not by who made it: one that was found finished stands
    in the table of the sweep like one made now, and one that another process is making is nobody's
    failure.

    Attributes:
        error: what the only run raised, where there is only one.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._many = False
        # The finished runs by study, and what a study's runs are to be combined to.
        self._studies: dict[Path, list[Path]] = {}
        self._wishes: dict[Path, CombineConfig] = {}
        self._failures: list[str] = []
        # Folds that a protocol does not have; a sweep over several protocols may ask for them.
        self._no_folds: list[str] = []
        # Runs that another sweep of the same study is making.
        self._elsewhere: list[str] = []
        self._protocols: set[str] = set()
        # What has been said of a corpus under a protocol: the balance, and what a refusal explains.
        self._explained: set[str] = set()
        # The runs that were made in this process: the words of each, and its validation UA.
        self._made: dict[Path, tuple[Sequence[str], float | None]] = {}

    def job(self, cfg: DictConfig) -> float | None:
        """Makes a run here; if it is one of many a failure is noted and the others go on.

        Hydra calls it.

        Args:
            cfg: of the run, as Hydra has composed it.

        Returns:
            Validation UA, for sweepers that search; None if there is none.

        Raises:
            InputError: the configuration is wrong.
        """
        hydra = HydraConfig.get()
        many, words = hydra.mode == RunMode.MULTIRUN, list(hydra.overrides.task)
        config = self._composed(cfg, words, many)
        if config is None:
            return None
        if not many:
            return self.only(config, words)
        self._expect(config, many=True)
        if config.trainer.devices != 1:
            raise InputError(
                "hydra/launcher=basic runs the jobs of a sweep inside one process, which cannot "
                "use several devices; use hydra/launcher=gpu_pool, or trainer.devices=1"
            )
        placed = self.placed(config, words)
        if placed is None:
            return None
        path = placed.folder.path
        if path in self._made:
            first, value = self._made[path]
            self.same(placed, words, first)
            return value
        self._made[path] = (words, self._make(placed, words))
        return self._made[path][1]

    def only(self, config: RunConfig, words: Sequence[str]) -> float | None:
        """Makes the only run here; what stops it is kept as `error`.

        Args:
            config: of the run.
            words: of it.

        Returns:
            As `job`.
        """
        self._expect(config, many=False)
        from sermm.engine.run import run

        try:
            result = run(config, words)
        except Exception as error:
            # Raised after Hydra is done, which would print its own lines around it.
            self.error = error
            return None
        return self._finished(config, result)

    def _make(self, placed: PlacedRun, words: Sequence[str]) -> float | None:
        """Makes one of many runs here; a failure is noted."""
        from sermm.engine.run import make

        try:
            return self._finished(placed.config, make(placed, words))
        except Exception as error:
            self._note(placed.config, error)
            return None

    def _composed(self, cfg: DictConfig, words: Sequence[str], many: bool) -> RunConfig | None:
        """The configuration of a run; None for one of many that is refused.

        It gets no run folder, so a note says why: `sermm status` would have it wait for ever.
        """
        try:
            return RunConfig.from_hydra(cfg)
        except InputError as error:
            write_note(Path(str(cfg.runs_dir)) / str(cfg.study), words, Note(error=str(error)))
            if not many:
                raise
            self._many = True
            self.fail(f"{shlex.join(words)}: {error}")
            return None

    def placed(self, config: RunConfig, words: Sequence[str]) -> PlacedRun | None:
        """Where a run of a sweep is.

        Reads the corpus and finds the run's folder, but makes nothing: a fold that does not exist
        or a refused teacher is noted here, without a process.

        Args:
            config: of the run.
            words: of its job, for the notes of the study.

        Returns:
            None if it is refused.
        """
        self._expect(config, many=True)
        try:
            return place(config, words)
        except Exception as error:
            self._note(config, error)
            return None

    def plan(
        self, config: RunConfig, placed: PlacedRun, *, here: bool = False
    ) -> PlannedRun | float | None:
        """What is left to be done for a run of a sweep.

        Args:
            config: of the run, as it was asked for.
            placed: where the run is.
            here: whether a process that works in its folder is one of this sweep's own.

        Returns:
            A plan; or, if nothing is left, validation UA, or None where there is none.
        """
        self._say(f"{config.data.name}, {config.protocol.name}: {placed.loaded.balance}")
        if placed.result is not None:
            return self._finished(config, placed.result)
        if placed.folder.busy and not here:
            self._leave(config.title)
            return None
        return PlannedRun(config, placed.folder)

    def same(self, placed: PlacedRun, words: Sequence[str], first: Sequence[str]) -> None:
        """Says that a job is the same run as one before it, and notes it for `sermm status`.

        Args:
            placed: the run.
            words: of the job.
            first: of the one before it.
        """
        print(same_run(words, first), flush=True)
        if job_id(words) != job_id(first):
            write_note(placed.config.study_dir, words, Note(key=placed.folder.path.name))

    def ended(self, planned: PlannedRun, job: Job) -> float | None:
        """Takes in a run that a process of its own has made, or has left unfinished.

        A process that was killed cannot say so, and its folder would still say that it runs: then
        how the process ended is written there. One that ended by itself while the folder is held
        has found another process in it.

        Args:
            planned: what `plan` gave.
            job: whose process has ended.

        Returns:
            As `job`.
        """
        result = planned.folder.result
        if result is not None:
            return self._finished(planned.config, result)
        busy = planned.folder.busy
        if busy and not job.killed:
            self._leave(planned.title)
            return None
        if busy:
            self.fail(f"{planned.title}: {job.end}; another process has its folder; log: {job.log}")
            return None
        note = read_note(planned.config.study_dir, planned.folder.job or "")
        if planned.folder.state is None and note is not None and note.error:
            # Refused before there was anything of it.
            self.fail(f"{planned.title}: {note.error}; log: {job.log}")
            return None
        status = planned.folder.status
        if status is None or status.state == "running":
            state: Reported = "interrupted" if job.state == "interrupted" else "failed"
            planned.folder.write_status(state, job.end)
        if job.stopped:
            print(f"{planned.title}: stopped, to be resumed", file=sys.stderr, flush=True)
            return None
        self.fail(f"{planned.title}: {planned.folder.reason}; log: {job.log}")
        return None

    def status(self) -> int:
        """Prints the table of a sweep and what failed; returns the exit status.

        Returns:
            1 if a run failed or a fold does not exist, else 0. A fold that one of several protocols
            lacks is left out and no failure: `fold=range(1,11)` is meant for those that have ten.

        Raises:
            Exception: what the only run raised.
        """
        if self.error is not None:
            raise self.error
        several = len(self._protocols) > 1
        for line in dict.fromkeys(self._no_folds):
            print(f"left out: {line}" if several else f"FAILED {line}", file=sys.stderr)
        if self._many:
            from sermm.report.output.text import table_text
            from sermm.report.tables.tables import build

            self._combine()
            for study in sorted(self._studies):
                try:
                    print(table_text(build(study)))
                except InputError as error:
                    print(f"no table: {error}", file=sys.stderr)
        for name in self._elsewhere:
            print(f"left to another process: {name}", file=sys.stderr)
        for failure in self._failures:
            print(f"FAILED {failure}", file=sys.stderr)
        return 1 if self._failures or (self._no_folds and not several) else 0

    def _expect(self, config: RunConfig, many: bool) -> None:
        """Notes what a run belongs to, before it can fail."""
        self._many = many
        study = config.study_dir
        self._studies.setdefault(study, [])
        self._protocols.add(config.protocol.name)
        if many and config.combine is not None:
            self._wishes[study] = config.combine

    def _finished(self, config: RunConfig, result: Result) -> float | None:
        """Notes and prints a finished run.

        Returns:
            Its validation UA, a fraction; None where nothing was validated.
        """
        self._studies[config.study_dir].append(config.study_dir / result.key)
        ua = result.val_ua
        print(f"{config.title}: {summary(result)}", flush=True)
        return None if ua is None else float(ua)

    def _note(self, config: RunConfig, error: Exception) -> None:
        """Sorts what stopped a run: no such fold, at work elsewhere, or a failure."""
        if isinstance(error, NoSuchFoldError):
            self._no_folds.append(str(error))
            return
        if isinstance(error, RunBusyError):
            self._leave(config.title)
            return
        if not isinstance(error, InputError):
            traceback.print_exception(error)
        self.fail(f"{config.title}: {type(error).__name__}: {error}")

    def _say(self, balance: str) -> None:
        """Prints which rows of the corpus take part, once for each protocol."""
        if balance not in self._explained:
            self._explained.add(balance)
            print(balance, flush=True)

    def _leave(self, name: str) -> None:
        """Notes a run that another process is making."""
        self._elsewhere.append(name)
        print(f"{name}: another process is at it", file=sys.stderr, flush=True)

    def fail(self, message: str) -> None:
        """Notes a failure, and prints it at once: a sweep may go on for days.

        What stands below its first line is printed once, though every fold of a corpus has it.
        """
        first, _, explained = message.partition("\n")
        self._failures.append(first)
        print(
            f"FAILED {first if explained in self._explained else message}",
            file=sys.stderr,
            flush=True,
        )
        self._explained.add(explained)

    def _combine(self) -> None:
        """Makes the combinations that were asked for; a run without a partner is a failure."""
        from sermm.sweeps.combinations import combine_sweep

        for study, wish in self._wishes.items():
            name, models = wish.name, wish.parts
            try:
                made, lonely = combine_sweep(name, models, self._studies[study], study)
            except InputError as error:
                self._failures.append(str(error))
                continue
            for result in made:
                ua, key = result.test_ua, result.key
                where = f"{result.protocol} fold {result.fold}, seed {result.seed}"
                print(f"{name} of {' and '.join(models)}, {where}: test UA {_score(ua)}, {key}")
            self._failures += [f"{name}: {problem.what}" for problem in lonely]


def summary(result: Result) -> str:
    """A finished run in one line; of a trial of a search validation."""
    epochs, took_s = result.epochs, result.seconds.total or 0.0
    part, name = ("val", "validation") if result.withheld else ("test", "test")
    ua, wa = (_score(result.metrics.get(f"{part}/{metric}")) for metric in ("ua", "wa"))
    absent = ", ".join(result.untested)
    return (
        f"{name} UA {ua}{f' (no {absent} there)' if absent else ''}, WA {wa}; "
        f"epoch {epochs.best} of {epochs.last}, {fixed(took_s, 0)} s, {result.key}"
    )


def _score(value: float | None) -> str:
    return "–" if value is None else fixed(value, 3)
