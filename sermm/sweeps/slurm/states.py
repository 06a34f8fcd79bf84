"""How the runs of a study stand that were handed to Slurm: what Slurm says, joined to the folders.

A run folder knows best what became of its run. Slurm knows what no folder can tell: that a job
waits and why, that its script has begun, that it ended before there was a run, or that the process
which a folder takes for alive is gone.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sermm.core.errors import InputError
from sermm.runs.plans import PlannedJob, log_path
from sermm.runs.status import State
from sermm.sweeps.slurm.arrays import Array, written
from sermm.sweeps.slurm.queue import Task, queued, remembered, tasks
from sermm.sweeps.study import Entry, missing_and_running
from sermm.sweeps.study import entries as without_slurm

# Slurm ends a task so, and it may go on; the latter ones only if there was time enough to begin.
_STOPPED = ("CANCELLED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL")
_TOO_LONG = ("TIMEOUT", "DEADLINE")
_TAIL = 4096
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def entries(study_dir: Path) -> list[Entry]:
    """As `sermm.sweeps.study.entries`, and what Slurm says of what was handed to it.

    Slurm is asked first: what ends between the two looks has its folder. Where it cannot be asked,
    or a record of what it was handed is damaged, a line says so, and the folders alone are told.
    """
    try:
        found = tasks(study_dir)
        never = _not_submitted(study_dir) - set(found)
    except InputError as error:
        print(f"{error}: what waits in Slurm's queue is not known here", file=sys.stderr)
        return without_slurm(study_dir)
    every = without_slurm(study_dir)
    if not found and not never:
        return every
    found = remembered(found, _of_unknown_end(every, found))
    return [_seen(entry, found, never, study_dir) for entry in every]


@dataclass(frozen=True)
class Left:
    """What is left to be submitted of some jobs.

    Attributes:
        missing: neither finished, nor running, nor in the queue.
        busy: how many run or wait.
        settled: how many have finished, or can be no run of their own.
        arrays: ids of those of the study that are in the queue.
    """

    missing: tuple[PlannedJob, ...]
    busy: int
    settled: int
    arrays: tuple[str, ...]


def left_of(study_dir: Path, jobs: Sequence[PlannedJob]) -> Left:
    """Which of these jobs are to be submitted.

    There is nothing to do for one that found its run finished, or whose protocol has no such fold.

    Args:
        study_dir: of the jobs.
        jobs: that were planned.

    Raises:
        InputError: Slurm cannot be asked, or a plan cannot be read.
    """
    in_queue = queued(study_dir)
    left, running = missing_and_running(study_dir)
    open_ones = {job.id for job in [*left, *running]}
    busy = {job.id for job in running} | set(in_queue)
    mine = [job for job in jobs if job.id in open_ones]
    missing = tuple(job for job in mine if job.id not in busy)
    arrays = tuple(sorted({task.array for task in in_queue.values()}))
    return Left(missing, len(mine) - len(missing), len(jobs) - len(mine), arrays)


def _of_unknown_end(every: Sequence[Entry], found: dict[str, Task]) -> list[str]:
    """The jobs that left the queue without a word."""
    return [
        entry.job.id
        for entry in every
        if entry.job is not None
        and (task := found.get(entry.job.id)) is not None
        and task.silent
        and entry.state in ("waiting", "running")
    ]


def _not_submitted(study_dir: Path) -> set[str]:
    """The jobs of scripts that were written; which of them were submitted, the tasks tell."""
    return {job for path in written(study_dir) for job in Array.read(path).jobs}


def _seen(entry: Entry, found: dict[str, Task], never: set[str], study_dir: Path) -> Entry:
    """An entry with what Slurm says of its job."""
    job = entry.job
    if job is None or entry.state == "finished":
        return entry
    if (task := found.get(job.id)) is None:
        waits = entry.state == "waiting" and job.id in never
        return replace(entry, state="not_submitted") if waits else entry
    if task.alive:
        return _alive(entry, task)
    if not _is_of_task(entry, task):
        return entry
    state, reason = ended(task, log_path(study_dir, job), begun=entry.folder is not None)
    return replace(entry, state=state, reason=reason, slurm=task.name)


def _alive(entry: Entry, task: Task) -> Entry:
    """Of a job that is in the queue, be it for another time."""
    if task.waits:
        return replace(entry, state="queued", reason=task.reason, slurm=task.name)
    if entry.state == "running":
        return entry
    mine = entry.slurm == task.name
    if mine and task.began and entry.heartbeat and task.began <= entry.heartbeat:
        # This attempt has failed already, and its script is about to end.
        return entry
    return replace(entry, state="starting", reason="", slurm=task.name)


def _is_of_task(entry: Entry, task: Task) -> bool:
    """Whether a task that has ended is the last that was heard of the run.

    A folder speaks for itself if the task's process could write into it, or if somebody has gone on
    with the run since.
    """
    if entry.folder is None or (entry.slurm == task.name and entry.state == "running"):
        return True
    if entry.slurm == task.name or entry.heartbeat is None:
        return False
    return entry.state != "running" and entry.heartbeat < task.submitted


def ended(task: Task, log: Path, *, begun: bool) -> tuple[State, str]:
    """What a task came to that has left the queue, and whose run could not say it.

    Args:
        task: not alive.
        log: of the job.
        begun: whether there is a run folder.

    Returns:
        The state, and why in one line; of what failed with the last line that was printed.
    """
    state, reason = _verdict(task, begun=begun)
    said = last_line(log, task.log) if state == "failed" else ""
    return state, f"{reason}: {said}" if said else reason


def _verdict(task: Task, *, begun: bool) -> tuple[State, str]:
    if task.state in _STOPPED or (begun and task.state in _TOO_LONG):
        if task.state == "CANCELLED" and not begun:
            return "cancelled", f"Slurm job {task.name} was cancelled before its run began"
        return "interrupted", f"Slurm ended job {task.name}: {task.state}"
    if task.exit_status is not None or task.state:
        status = "" if task.exit_status is None else f" with exit status {task.exit_status}"
        what = f" ({task.state})" if task.state not in ("", "COMPLETED", "FAILED") else ""
        return "failed", f"Slurm job {task.name} ended{status}{what}"
    if not task.log.exists():
        return "cancelled", (
            f"Slurm job {task.name} left the queue before it began: cancelled, most likely"
        )
    return "interrupted" if begun else "failed", (
        f"Slurm job {task.name} is gone without a word: killed, or its node went away"
    )


def last_line(*logs: Path) -> str:
    """The last line that says something, of the log that was written to last; empty without one."""
    found = sorted((path for path in logs if path.is_file()), key=lambda path: path.stat().st_mtime)
    lines = (line for path in reversed(found) for line in reversed(_tail(path)))
    return next((line for line in lines if line), "")


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        text = file.read().decode("utf-8", "replace")
    return [_COLOUR.sub("", line).strip() for line in text.replace("\r", "\n").splitlines()]
