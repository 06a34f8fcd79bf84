"""What Slurm knows of the jobs of a study: asked once for all of them.

`squeue` tells what waits and runs, and for some minutes what has ended; what it has forgotten
`sacct` may know, where a cluster keeps accounts. Each script leaves behind with what it ended, so
that the truth does not depend on either.
"""

import getpass
import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sermm.core.errors import InputError
from sermm.runs.plans import logs_folder
from sermm.runs.slurm.job import printed_by
from sermm.sweeps.slurm.arrays import ENDS, Array, folder_of, submitted, written

ASK_S = 60
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT")
ENDED = (
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "PREEMPTED",
    "NODE_FAIL",
    "BOOT_FAIL",
    "DEADLINE",
    "OUT_OF_MEMORY",
    "REVOKED",
)
_FIELDS = "%F|%K|%T|%S|%r|%o"
_RANGE = re.compile(r"(\d+)(?:-(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class Task:
    """A task of an array, for each of the jobs that it has.

    Attributes:
        name: as Slurm calls it, `<array>_<index>`.
        state: in Slurm's words, `RUNNING`; empty where it does not know the task any more.
        reason: why it waits, in Slurm's words.
        submitted: when it was handed over, as far as our own records tell.
        began: when it began to run, this time.
        exit_status: what its script left behind; None if it has not ended by itself.
        log: what the script itself has printed; there once it has begun.
    """

    name: str
    state: str
    reason: str
    submitted: datetime
    began: datetime | None
    exit_status: int | None
    log: Path

    @property
    def waits(self) -> bool:
        """Whether it is in the queue and does not run."""
        return self.state in WAITING

    @property
    def array(self) -> str:
        """The id of its array."""
        return self.name.partition("_")[0]

    @property
    def silent(self) -> bool:
        """Whether it left the queue without a word."""
        return not self.state and self.exit_status is None

    @property
    def alive(self) -> bool:
        """Whether it waits or runs; one that is still being tidied up after its script is not."""
        if self.state in ("", *ENDED):
            return False
        return self.waits or self.exit_status is None


@dataclass(frozen=True)
class _Row:
    array: str
    index: int
    state: str
    began: datetime | None
    reason: str
    script: str


def tasks(study_dir: Path) -> dict[str, Task]:
    """The task of each job that was handed to Slurm, by the job's id; squeue is asked once.

    A job may have been handed over several times: then the task that is alive, or the last one.

    Args:
        study_dir: of the jobs.

    Raises:
        InputError: squeue cannot be asked, or a record is damaged.
    """
    known, scripts = submitted(study_dir), written(study_dir)
    if not known and not (scripts and shutil.which("squeue")):
        # Nothing was handed over from here; by hand it can be only where there is Slurm.
        return {}
    rows = _squeue([*known.values(), *scripts])
    by_place = {(row.array, row.index): row for row in rows}
    ends = _ends(folder_of(study_dir) / ENDS)
    paths = {**known, **_by_hand(rows, known, scripts)}
    found: dict[str, Task] = {}
    for array, path in paths.items():
        when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        seen = _Seen(by_place, ends, when, logs_folder(study_dir))
        for task, jobs in _of_array(array, Array.read(path), seen):
            for job in jobs:
                if task.alive or not (job in found and found[job].alive):
                    found[job] = task
    return found


def queued(study_dir: Path) -> dict[str, Task]:
    """The tasks of the jobs that are in Slurm's queue, waiting or running, by the job's id.

    Raises:
        InputError: Slurm cannot be asked, and so a job might be submitted twice.
    """
    try:
        found = tasks(study_dir)
    except QueueError as error:
        raise InputError(
            f"{error}; without it runs that wait in the queue would be submitted twice. Try again "
            "on a login node of the cluster"
        ) from error
    return {job: task for job, task in found.items() if task.alive}


class QueueError(InputError):
    """Slurm's queue cannot be asked."""


def remembered(found: Mapping[str, Task], jobs: Collection[str]) -> dict[str, Task]:
    """The tasks with what Slurm's accounts say of some that the queue has forgotten.

    Args:
        found: by job.
        jobs: of whose end nothing is known.

    Returns:
        All of them; as they are where there are no accounts.
    """
    if not jobs:
        return dict(found)
    states = _sacct({found[job].array for job in jobs})
    return {
        job: replace(task, state=states.get(task.name, "")) if job in jobs else task
        for job, task in found.items()
    }


class _Seen(NamedTuple):
    """What tasks are made of.

    Attributes:
        rows: of squeue, by array and index.
        ends: exit statuses by the names of tasks.
        submitted: when the array was handed over.
        logs: the folder of them.
    """

    rows: Mapping[tuple[str, int], _Row]
    ends: Mapping[str, int]
    submitted: datetime
    logs: Path


def _of_array(array: str, record: Array, seen: _Seen) -> Iterator[tuple[Task, tuple[str, ...]]]:
    """The tasks of one array with the jobs of each."""
    for index in range(1, -(-len(record.jobs) // record.pack) + 1):
        row, name = seen.rows.get((array, index)), f"{array}_{index}"
        yield (
            Task(
                name,
                row.state if row else "",
                row.reason if row else "",
                seen.submitted,
                row.began if row else None,
                seen.ends.get(name),
                seen.logs / f"slurm-{name}.log",
            ),
            record.of_task(index),
        )


def _ends(folder: Path) -> dict[str, int]:
    """The exit status of each task that has ended; a name for each, so that none is opened."""
    if not folder.is_dir():
        return {}
    parts = (path.name.rpartition(".") for path in folder.iterdir())
    return {task: int(status) for task, _, status in parts if status.isdigit()}


def _by_hand(
    rows: Iterable[_Row], known: Collection[str], scripts: Sequence[Path]
) -> dict[str, Path]:
    """The records of arrays that somebody has submitted by hand, and that have not begun."""
    by_script = {str(path.with_suffix(".sh")): path for path in scripts}
    return {
        row.array: by_script[row.script]
        for row in rows
        if row.array not in known and row.script in by_script
    }


def _squeue(records: Sequence[Path]) -> list[_Row]:
    """What squeue says of the arrays of all who have submitted here.

    Raises:
        QueueError: it does not answer.
    """
    users = ",".join(sorted({getpass.getuser(), *(_owner(path) for path in records)}))
    words = [f"--users={users}", "--array", "--states=all", "--noheader", f"--format={_FIELDS}"]
    try:
        said = printed_by("squeue", *words, within_s=ASK_S)
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise QueueError(f"squeue does not answer ({lines[-1] if lines else error})") from error
    parts = (line.split("|", 5) for line in said.splitlines())
    return [
        _Row(array, int(index), state, _time(began), "" if reason == "None" else reason, script)
        for array, index, state, began, reason, script in (p for p in parts if len(p) == 6)
        if index.isdigit()
    ]


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        # Of a user whom this machine does not know.
        return str(path.stat().st_uid)


def _time(text: str) -> datetime | None:
    """Slurm prints the time of this machine, without saying so."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def _sacct(arrays: Collection[str]) -> dict[str, str]:
    """The state of each task by its name; nothing where there are no accounts."""
    words = ["--allocations", "--noheader", "--parsable2", "--format=JobID,State"]
    try:
        said = printed_by("sacct", *words, f"--jobs={','.join(sorted(arrays))}", within_s=ASK_S)
    except (OSError, subprocess.SubprocessError):
        return {}
    found: dict[str, str] = {}
    for line in said.splitlines():
        name, _, state = line.partition("|")
        array, _, indices = name.partition("_")
        for index in _indices(indices):
            # "CANCELLED by 1000"
            found[f"{array}_{index}"] = state.split(" ")[0]
    return found


def _indices(text: str) -> Iterator[int]:
    """Those of `7`, and of `[3-5,9%2]`, by which tasks go that have never begun."""
    for part in text.strip("[]").partition("%")[0].split(","):
        if (found := _RANGE.fullmatch(part)) is not None:
            first, last, step = found.groups()
            yield from range(int(first), int(last or first) + 1, int(step or 1))
