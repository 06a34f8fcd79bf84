"""Runs jobs side by side, each in a process of its own with its own share of the machine.

Processes come from a fork server that has imported what is slow to import, so that a job starts in
a fraction of a second. A job gets words, like a command typed by hand, and what it starts itself
(the further ranks of a run on several devices) starts as it would by hand. It is handed what the
words compose to, so that it need not compose them again.

The first signal to stop is handed on to the jobs, which leave their runs resumable; the second one
kills them. Jobs die with the pool, however it dies: each watches the end of a pipe that closes with
the pool's process, as a process that is killed can tell nobody. A fork server that is killed takes
its jobs with it, as nobody would know how they end; a new one starts those that follow.

The pool knows processes and no runs. What a job came to is read from its run folder by those who
made the job (`sermm.sweeps.sweep`).
"""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from sermm.core.errors import INTERRUPTED, InputError
from sermm.runs.status import State
from sermm.sweeps.job_process import await_end, kill_group, work

# What the fork server imports.
PRELOAD = ("sermm.sweeps.warm",)
# What multiprocessing says of a process whose fork server has gone; no command ends with it.
_ORPHANED = 255
_LOOK_S = 0.2
# A fork server that was killed looks alive for a moment: pauses before it is asked once more.
_AGAIN_S = (0.1, 0.5, 2.0)
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(eq=False)
class Job:
    """One command.

    Attributes:
        words: its arguments.
        log: the file that its output is added to.
        title: for people.
        folder: where it writes, for those who look on.
        exit_status: of its process, minus the number of the signal that ended it; None before.
        started_s: on the monotonic clock; None while it waits.
        ended_s: likewise; None before it has ended.
        stopped: the pool has told it to stop.
        ended_by: how it ended, where somebody else than its process says so.
        handed: plain values that the command is called with beside its words, if any.
    """

    words: Sequence[str]
    log: Path
    title: str
    folder: Path
    exit_status: int | None = None
    started_s: float | None = None
    ended_s: float | None = None
    stopped: bool = False
    ended_by: str = ""
    handed: Mapping[str, Any] | None = None

    @property
    def state(self) -> State:
        """Where it is, as far as its process tells; the run folder knows better why it ended."""
        if self.started_s is None:
            return "waiting"
        if self.exit_status is None:
            return "running"
        if self.exit_status == 0:
            return "finished"
        by_signal = (INTERRUPTED, *(-number for number in _STOPPING))
        return "interrupted" if self.stopped or self.exit_status in by_signal else "failed"

    @property
    def killed(self) -> bool:
        """Whether its process was ended from outside, and so could say nothing in its folder."""
        return self.exit_status is not None and (self.exit_status < 0 or self._orphaned)

    @property
    def end(self) -> str:
        """How its process ended, for people."""
        status = self.exit_status or 0
        if self.ended_by:
            return self.ended_by
        if self.stopped:
            return "stopped with the sweep; run it again to resume"
        if self._orphaned:
            return (
                "the fork server that starts the jobs was killed, as when memory runs out, and "
                "this job with it; run it again to resume"
            )
        if status >= 0:
            return f"its process ended with status {status}"
        name = signal.Signals(-status).name
        memory = ", as when memory runs out" if -status == signal.SIGKILL else ""
        return f"its process was ended by {name}{memory}"

    @property
    def _orphaned(self) -> bool:
        return self.exit_status == _ORPHANED


@dataclass(frozen=True)
class Slot:
    """A share of the machine, for one job at a time.

    Attributes:
        environment: variables of the job's processes.
    """

    environment: Mapping[str, str] = field(default_factory=dict)


def visible_gpus() -> list[str]:
    """The GPUs of this process, as CUDA_VISIBLE_DEVICES names them.

    A job's variable replaces this process's own, so the names must be those that the system knows,
    not numbers counted from 0 within the share that this process was given.
    """
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    n = torch.cuda.device_count()
    return named.split(",")[:n] if named else [str(number) for number in range(n)]


def slots(
    gpus: Sequence[str], gpus_per_job: int, jobs_per_gpu: int, cpu_slots: int | None
) -> list[Slot]:
    """The shares of a node.

    A share of GPUs is a value of CUDA_VISIBLE_DEVICES, one of a node without GPUs a number of
    threads. GPUs that are left over, as the third one of three for jobs of two, stay idle.

    Args:
        gpus: of the node.
        gpus_per_job: of one job.
        jobs_per_gpu: at a time; above 1 for jobs of one GPU only.
        cpu_slots: shares of a node without GPUs; None: one for every two cores, two at least.

    Raises:
        InputError: a number is wrong, or a job asks for more GPUs than there are.
    """
    for name, number in (("gpus_per_job", gpus_per_job), ("jobs_per_gpu", jobs_per_gpu)):
        if number < 1:
            raise InputError(f"hydra.launcher.{name}={number}: expected a number from 1")
    cores = len(os.sched_getaffinity(0))
    if not gpus:
        n = min(cores, max(2, cores // 2)) if cpu_slots is None else cpu_slots
        if n < 1:
            raise InputError(f"hydra.launcher.cpu_slots={n}: expected a number from 1, or null")
        return [Slot({"OMP_NUM_THREADS": str(max(1, cores // n))})] * n
    if gpus_per_job > len(gpus):
        raise InputError(
            f"hydra.launcher.gpus_per_job={gpus_per_job}, but there are {len(gpus)} GPUs here"
        )
    if gpus_per_job > 1 and jobs_per_gpu > 1:
        raise InputError(
            f"hydra.launcher.jobs_per_gpu={jobs_per_gpu} is for jobs of one GPU, and "
            f"gpus_per_job={gpus_per_job}"
        )
    starts = range(0, len(gpus) - gpus_per_job + 1, gpus_per_job)
    groups = [",".join(gpus[start : start + gpus_per_job]) for start in starts]
    return [Slot({"CUDA_VISIBLE_DEVICES": group}) for group in groups * jobs_per_gpu]


def prepare() -> ForkServerContext:
    """Starts the fork server, which imports while others get the jobs ready.

    Returns:
        What makes processes out of it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    forkserver.ensure_running()
    return context


class Pool:
    """Keeps every slot busy until all jobs have ended.

    Used once: after `run` its pipe is closed.

    Args:
        command: what a job calls with its words, and with what it is handed; a function of a
            module, which returns an exit status.
        slots: one or more.
        ended: called with each job that has ended.
        watch: called a few times a second with the jobs that run.
    """

    def __init__(
        self,
        command: Callable[..., int],
        slots: Sequence[Slot],
        ended: Callable[[Job], None],
        watch: Callable[[Sequence[Job]], None],
    ) -> None:
        self._command, self._ended, self._watch = command, ended, watch
        self._free = deque(slots)
        self._running: dict[ForkServerProcess, tuple[Job, Slot]] = {}
        self._stops = 0
        self._context = prepare()
        # Nothing is ever sent: the other end closes when this process is gone.
        self._life, self._own_end = self._context.Pipe(duplex=False)

    def run(self, jobs: Iterable[Job]) -> None:
        """Runs all jobs, in order as slots become free; none is started after a signal to stop.

        A job is asked for when there is a slot for it, so that whoever makes the jobs can leave out
        what another process has finished by then.

        Args:
            jobs: any number, made one by one.

        Raises:
            KeyboardInterrupt: there was a signal; the jobs have ended.
        """
        queue = iter(jobs)
        more = True
        with self._signals():
            try:
                while more or self._running:
                    while more and self._free and not self._stops:
                        job = next(queue, None)
                        more = job is not None
                        if job is not None:
                            self._start(job)
                    more = more and not self._stops
                    wait([process.sentinel for process in self._running], timeout=_LOOK_S)
                    self._collect()
                    self._watch([job for job, _ in self._running.values()])
            finally:
                # Only where something went wrong are there any left.
                self._signal(signal.SIGKILL)
                self._life.close()
                self._own_end.close()
        if self._stops:
            raise KeyboardInterrupt

    def _start(self, job: Job) -> None:
        """Gives the job a slot and a process."""
        slot = self._free.popleft()
        job.log.parent.mkdir(parents=True, exist_ok=True)
        command = self._command if job.handed is None else partial(self._command, handed=job.handed)
        given = (command, list(job.words), dict(slot.environment), str(job.log), self._life)
        process = self._context.Process(target=work, args=given)
        job.started_s = time.monotonic()
        if _begun(process):
            self._running[process] = (job, slot)
        else:
            self._end(job, slot, _ORPHANED)

    def _collect(self) -> None:
        """Takes in the jobs whose processes have ended, and frees their slots."""
        for process in [p for p in self._running if not p.is_alive()]:
            job, slot = self._running.pop(process)
            # What it started and left, such as the ranks of a run on several devices; and the
            # process itself, where only its fork server has died.
            kill_group(process, signal.SIGKILL)
            await_end(process)
            status = process.exitcode
            process.close()
            self._end(job, slot, status)

    def _end(self, job: Job, slot: Slot, status: int | None) -> None:
        job.exit_status, job.ended_s = status, time.monotonic()
        self._free.append(slot)
        self._ended(job)

    def _signal(self, number: signal.Signals) -> None:
        """Sends a signal to every running job and to all that it has started."""
        for process, (job, _) in self._running.items():
            job.stopped = True
            kill_group(process, number)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Within, signals to stop go to the jobs; afterwards they act as before."""

        def stop(number: int, frame: Any) -> None:  # noqa: ARG001
            self._stops += 1
            self._signal(signal.SIGINT if self._stops == 1 else signal.SIGKILL)

        before = {number: signal.signal(number, stop) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _begun(process: ForkServerProcess) -> bool:
    """Starts a job's process; False if it cannot be, as its fork servers die at once."""
    for pause_s in _AGAIN_S:
        try:
            process.start()
        except (OSError, EOFError):
            time.sleep(pause_s)
        else:
            return True
    return False
