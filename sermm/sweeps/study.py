"""What became of the runs that a study was asked for; imports nothing that takes time.

Two things are joined here: the plans that sweeps have written (`sermm.runs.plans`) and the run
folders. A run says in its status which planned job it was, so that no configuration is composed to
find out what is left. `sermm status` prints it, `sermm retry` submits what is missing; both may ask
while hundreds of runs write.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sermm.core.errors import InputError
from sermm.runs.layout import CONFIG
from sermm.runs.metrics import progress
from sermm.runs.plans import (
    Note,
    PlannedJob,
    left,
    log_path,
    logs_folder,
    read_note,
    read_plans,
)
from sermm.runs.result import Result
from sermm.runs.status import State, standing
from sermm.runs.studies import run_folders, title

# On a file system of many nodes it is the waiting for each file that takes the time.
_THREADS = 8
_T = TypeVar("_T")


@dataclass(frozen=True)
class Entry:
    """A run of a study, or a job that has no run folder yet.

    Attributes:
        state: how it stands.
        reason: the last line of the error, or why a folder is unreadable; may be empty.
        folder: None while it waits.
        job: what it was planned as; None for runs that no sweep planned.
        slurm: Slurm's name of its job.
        heartbeat: the last sign of life.
    """

    state: State
    reason: str = ""
    folder: Path | None = None
    job: PlannedJob | None = None
    slurm: str | None = None
    heartbeat: datetime | None = None

    @property
    def name(self) -> str:
        """The run's key, or the job's id while it waits."""
        if self.folder is not None:
            return self.folder.name
        return self.job.id if self.job else ""


@dataclass(frozen=True)
class Details:
    """What else a run tells; None where it does not.

    Attributes:
        title: model, protocol, fold and seed; while it waits, only those that its words give.
        started: when its configuration was last written.
        epoch: the last whole one.
        val_ua: of that epoch, a fraction; of a finished trial of a search, that of the chosen one.
        test_ua: of a finished run, a fraction; a trial has none.
        log: what its job printed.
        task_log: what the script of its Slurm job printed.
    """

    title: dict[str, str]
    started: datetime | None
    epoch: int | None
    val_ua: float | None
    test_ua: float | None
    log: Path | None
    task_log: Path | None


def entries(study_dir: Path) -> list[Entry]:
    """Every run folder by name, then the planned jobs that have none, oldest plan first.

    Of each run only the status is read, so this is quick for thousands; see `details`. A plan that
    cannot be read is unreadable like a run.
    """
    plans = read_plans(study_dir)
    planned = {job.id: job for job in plans.jobs}
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda folder: _entry(folder, planned), run_folders(study_dir)))
    begun = {entry.job.id for entry in found if entry.job}
    unreadable = {entry.name for entry in found if entry.state == "unreadable"}
    rest = left(study_dir, plans.jobs, begun, unreadable)
    return [
        *(replace(one, job=one.job or rest.lost.get(one.name)) for one in found),
        *(Entry("unreadable", why, folder=path) for path, why in plans.damaged.items()),
        *(Entry("failed", why, job=job) for job, why in rest.refused.items()),
        *(Entry("waiting", job=job) for job in rest.waiting),
    ]


def missing(study_dir: Path) -> list[PlannedJob]:
    """The planned jobs that are neither finished nor running, oldest plan first.

    Those that cannot become runs are not missing: they found their run finished under other words,
    or ask for a fold that their protocol does not have.
    """
    return missing_and_running(study_dir)[0]


def missing_and_running(study_dir: Path) -> tuple[list[PlannedJob], list[PlannedJob]]:
    """As `missing`, and the planned jobs that run.

    Both from one look at the study: between two looks a run may begin or end.

    Raises:
        InputError: a plan cannot be read, and so is not known.
    """
    plans = read_plans(study_dir)
    for why in plans.damaged.values():
        raise InputError(why)
    by_state: dict[str, set[PlannedJob | None]] = {"finished": set(), "running": set()}
    for entry in entries(study_dir):
        if entry.state in by_state:
            by_state[entry.state].add(entry.job)
    open_ones = [
        job
        for job in plans.jobs
        if job not in by_state["finished"] and not _settled(read_note(study_dir, job.id))
    ]
    running = [job for job in open_ones if job in by_state["running"]]
    return [job for job in open_ones if job not in by_state["running"]], running


def _settled(note: Note | None) -> bool:
    """Whether nothing is to be done for a job that has not finished by itself."""
    return note is not None and bool(note.key or note.left_out)


def told(entry: Entry) -> dict[str, str]:
    """Model, protocol, fold and seed, as far as its configuration or its words tell."""
    return _words(entry.job) if entry.folder is None else title(entry.folder)


def details(entry: Entry, study_dir: Path) -> Details:
    """Reads what else there is of one run: up to three more files."""
    log = log_path(study_dir, entry.job) if entry.job else None
    log = log if log and log.is_file() else None
    task_log = _task_log(entry, study_dir)
    folder = entry.folder
    if folder is None:
        return Details(told(entry), None, None, None, None, log, task_log)
    epoch, val_ua = progress(folder)
    result = _or_none(lambda: Result.read(folder)) if entry.state == "finished" else None
    if result is not None and result.withheld:
        val_ua = result.val_ua
    return Details(
        told(entry),
        _or_none(lambda: _written(folder / CONFIG)),
        epoch,
        val_ua,
        None if result is None else result.metrics.get("test/ua"),
        log,
        task_log,
    )


def _task_log(entry: Entry, study_dir: Path) -> Path | None:
    """Where the script of its Slurm job has printed, if that is there."""
    if entry.slurm is None:
        return None
    path = logs_folder(study_dir) / f"slurm-{entry.slurm}.log"
    return path if path.is_file() else None


def _entry(folder: Path, planned: Mapping[str, PlannedJob]) -> Entry:
    """How a run folder stands, and which planned job it was."""
    state, reason, status = standing(folder)
    if status is None:
        return Entry(state, reason, folder)
    job = planned.get(status.job) if status.job else None
    return Entry(state, reason, folder, job, status.slurm, status.heartbeat)


def _words(job: PlannedJob | None) -> dict[str, str]:
    """What a planned job's own words tell of its run."""
    pairs = [word.partition("=") for word in (job.words if job else ())]
    return {key: value for key, _, value in pairs if key in {"model", "protocol", "fold", "seed"}}


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _or_none(reading: Callable[[], _T]) -> _T | None:
    """What a file says, unless it is not there, is being written or is of another version."""
    try:
        return reading()
    except (OSError, ValueError, KeyError, TypeError):
        return None


def as_json(entry: Entry, study_dir: Path) -> dict[str, Any]:
    """Entry and details as one record, for JSON.

    Returns:
        Names and values of JSON, times in ISO 8601, None for what is not known.
    """
    more = details(entry, study_dir)
    return {
        "state": entry.state,
        "key": entry.folder.name if entry.folder else None,
        "job": entry.job.id if entry.job else None,
        "slurm": entry.slurm,
        **{name: more.title.get(name) for name in ("model", "protocol", "fold", "seed")},
        "reason": entry.reason or None,
        "log": str(more.log) if more.log else None,
        "slurm_log": str(more.task_log) if more.task_log else None,
        "started": more.started.isoformat(timespec="seconds") if more.started else None,
        "heartbeat": entry.heartbeat.isoformat(timespec="seconds") if entry.heartbeat else None,
        "epoch": more.epoch,
        "val_ua": more.val_ua,
        "test_ua": more.test_ua,
    }
