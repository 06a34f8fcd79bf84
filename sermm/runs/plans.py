"""What a sweep has been asked for, beside its runs: so that what has not begun can be told too.

`runs/<study>/.sweeps/<id>.json` holds the words of every run of one sweep, written once when it
starts. A run notes in its `status.json` which job it was (`job`), so that nothing has to be
composed to know which are left; `logs/` beside it holds what jobs print, `notes/` which run a job
has made or found finished, or why it was refused.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from sermm.core.damage import in_words
from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.files import read_json, write_json
from sermm.runs.fields import record

FOLDER = ".sweeps"
T = TypeVar("T")


@dataclass(frozen=True)
class PlannedJob:
    """One run of a sweep.

    Attributes:
        words: of `sermm train`, for this run alone.
    """

    words: tuple[str, ...]

    @property
    def id(self) -> str:
        """Tells it from other jobs of the study: 16 hexadecimal digits of its words' digest."""
        return job_id(self.words)


def job_id(words: Sequence[str]) -> str:
    """The id of the job with these words, in any order; those for Hydra itself do not count."""
    return digest(sorted(word for word in words if not word.startswith("hydra")))[:16]


def write_plan(study_dir: Path, jobs: Sequence[PlannedJob]) -> Path:
    """Writes the jobs of a sweep; the same sweep again replaces its own file.

    Args:
        study_dir: of the study.
        jobs: all of the sweep, finished or not.

    Returns:
        The file, named by a digest of the jobs.
    """
    rows = [list(job.words) for job in jobs]
    path = study_dir / FOLDER / f"{digest(rows)[:16]}.json"
    write_json(path, {"jobs": rows})
    return path


@dataclass(frozen=True)
class Plans:
    """What the sweeps of a study have been asked for.

    Attributes:
        jobs: each once, oldest sweep first.
        damaged: files that cannot be read, and why; what they asked for is not among the jobs.
    """

    jobs: tuple[PlannedJob, ...]
    damaged: dict[Path, str]


@dataclass(frozen=True)
class _File:
    """The fields of a file: the words of each job."""

    jobs: list[list[str]]


def read_plans(study_dir: Path) -> Plans:
    """Every job that sweeps of the study have been asked for."""
    found: dict[str, PlannedJob] = {}
    damaged: dict[Path, str] = {}
    for path in _plan_files(study_dir):
        try:
            jobs = _read(path, _File).jobs
        except InputError as error:
            damaged[path] = str(error)
            continue
        for words in jobs:
            job = PlannedJob(tuple(words))
            found.setdefault(job.id, job)
    return Plans(tuple(found.values()), damaged)


def forget_jobs(study_dir: Path, ids: Collection[str]) -> None:
    """Takes jobs out of the plans of a study, with their logs and notes.

    The sweep's own command plans them again.

    Args:
        study_dir: of the study.
        ids: of the jobs.
    """
    for path in _plan_files(study_dir):
        with suppress(InputError):
            jobs = _read(path, _File).jobs
            kept = [words for words in jobs if job_id(words) not in ids]
            if not kept:
                path.unlink()
            elif len(kept) < len(jobs):
                write_json(path, {"jobs": kept})
    for one in ids:
        _note_path(study_dir, one).unlink(missing_ok=True)
        _log_path(study_dir, one).unlink(missing_ok=True)


def _plan_files(study_dir: Path) -> list[Path]:
    """Oldest first."""
    files = (study_dir / FOLDER).glob("[!.]*.json")
    return sorted(files, key=lambda path: path.stat().st_mtime_ns)


def _read(path: Path, kind: type[T]) -> T:
    """A record out of a file beside the runs.

    Raises:
        FileNotFoundError: there is none.
        InputError: it is damaged.
    """
    try:
        return record(kind, read_json(path), path.name)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged: {in_words(error)}; remove it, the sweep's own command writes it "
            "anew"
        ) from error


def log_path(study_dir: Path, job: PlannedJob) -> Path:
    """Where the job's output goes: by its id, as there is a log before there is a run folder."""
    return _log_path(study_dir, job.id)


def logs_folder(study_dir: Path) -> Path:
    """Where the jobs of a study, and the scripts that start them, print."""
    return study_dir / FOLDER / "logs"


def _log_path(study_dir: Path, job: str) -> Path:
    return logs_folder(study_dir) / f"{job}.log"


@dataclass(frozen=True)
class Note:
    """What became of a job, as far as no status of a run says it.

    Attributes:
        key: of the finished run that it found, or of an earlier job's run that it is; None if there
            was none.
        error: why it was refused; empty if it was not.
        left_out: it asked for a fold that its protocol does not have.
        begun: the key of its own run, whose status may have been lost since.
    """

    key: str | None = None
    error: str = ""
    left_out: bool = False
    begun: str | None = None


def write_note(study_dir: Path, words: Sequence[str], note: Note) -> None:
    """Writes down what became of a job, if it is one of a sweep.

    Args:
        study_dir: of the study; without plans in it nothing is written.
        words: of the job.
        note: what became of it; replaces an earlier one.
    """
    if (study_dir / FOLDER).is_dir():
        write_json(_note_path(study_dir, job_id(words)), asdict(note))


def read_note(study_dir: Path, job: str) -> Note | None:
    """What became of the job of that id; None if nothing is known, an error if it is damaged."""
    try:
        return _read(_note_path(study_dir, job), Note)
    except FileNotFoundError:
        return None
    except InputError as error:
        return Note(error=str(error))


@dataclass(frozen=True)
class Left:
    """The planned jobs of which no run says that it is theirs.

    Attributes:
        waiting: they have not begun.
        refused: why they are no runs.
        lost: by their run's key, as its status cannot be read and does not say which job it was.
    """

    waiting: tuple[PlannedJob, ...]
    refused: dict[PlannedJob, str]
    lost: dict[str, PlannedJob]


def left(
    study_dir: Path, jobs: Sequence[PlannedJob], begun: Collection[str], unreadable: Collection[str]
) -> Left:
    """What is left of the plans of a study, each job once.

    Those that found their run finished, or ask for a fold that is not there, are not left.

    Args:
        study_dir: of the study.
        jobs: all that were planned.
        begun: the ids of those that a run says it is.
        unreadable: the keys of the runs that say nothing.
    """
    notes = {job: read_note(study_dir, job.id) for job in jobs if job.id not in begun}
    runs = {job: note.begun for job, note in notes.items() if note is not None}
    lost = {key: job for job, key in runs.items() if key in unreadable and key is not None}
    rest = {job: note or Note() for job, note in notes.items() if runs.get(job) not in lost}
    open_ones = {job: note for job, note in rest.items() if not (note.key or note.left_out)}
    refused = {job: note.error for job, note in open_ones.items() if note.error}
    return Left(tuple(job for job in open_ones if job not in refused), refused, lost)


def _note_path(study_dir: Path, job: str) -> Path:
    return study_dir / FOLDER / "notes" / f"{job}.json"
