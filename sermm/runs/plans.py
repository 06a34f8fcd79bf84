"""What a sweep has been asked for, beside its runs: so that what has not begun can be told too.

`runs/<study>/.sweeps/<id>.json` holds the words of every run of one sweep, written once when it
starts. A run notes in its `status.json` which job it was (`job`), so that nothing has to be
composed to know which are left; `logs/` beside it holds what jobs print, `notes/` what became of
those that got no run folder of their own: found finished under other words, or refused.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sermm.core.digest import digest
from sermm.core.files import read_json, write_json

FOLDER = ".sweeps"


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


def read_plans(study_dir: Path) -> tuple[PlannedJob, ...]:
    """Every job that sweeps of the study have been asked for, each once, oldest sweep first."""
    files = sorted((study_dir / FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    found: dict[str, PlannedJob] = {}
    for path in files:
        for words in read_json(path)["jobs"]:
            job = PlannedJob(tuple(words))
            found.setdefault(job.id, job)
    return tuple(found.values())


def log_path(study_dir: Path, job: PlannedJob) -> Path:
    """Where the job's output goes: by its id, as there is a log before there is a run folder."""
    return study_dir / FOLDER / "logs" / f"{job.id}.log"


@dataclass(frozen=True)
class Note:
    """What became of a job without a run folder of its own.

    Attributes:
        key: of the finished run that it found; None if there was none.
        error: why it was refused; empty if it was not.
        left_out: it asked for a fold that its protocol does not have.
    """

    key: str | None = None
    error: str = ""
    left_out: bool = False


def write_note(study_dir: Path, words: Sequence[str], note: Note) -> None:
    """Writes down what became of a job, if it is one of a sweep.

    Args:
        study_dir: of the study; without plans in it nothing is written.
        words: of the job.
        note: what became of it; replaces an earlier one.
    """
    if (study_dir / FOLDER).is_dir():
        write_json(_note_path(study_dir, job_id(words)), asdict(note))


def forget_note(study_dir: Path, words: Sequence[str]) -> None:
    """For a job that now has a run folder."""
    _note_path(study_dir, job_id(words)).unlink(missing_ok=True)


def read_notes(study_dir: Path) -> dict[str, Note]:
    """The notes of a study by job id; one that is being replaced at this moment is left out."""
    found = {}
    for path in (study_dir / FOLDER / "notes").glob("[!.]*.json"):
        with suppress(FileNotFoundError):
            found[path.stem] = Note(**read_json(path))
    return found


def _note_path(study_dir: Path, job: str) -> Path:
    return study_dir / FOLDER / "notes" / f"{job}.json"
