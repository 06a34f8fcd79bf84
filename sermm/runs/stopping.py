"""What a run does when it is told to stop: by Slurm before a time limit, by preemption, by kill.

On SIGUSR1, SIGUSR2 or SIGTERM it stops where it is. The state after the last whole epoch lies in
`last.ckpt`, from which it resumes to the same result, so nothing of the unfinished epoch is kept.
Its status says why it stopped; a Slurm job that may be requeued goes back into the queue, unless
Slurm itself is already ending it. The same signal from the same hand may come twice; a further one
after `REPEAT_S` ends the process at once.

    first process    stoppable: Watch raises Stopped -> folder says "interrupted" -> put_back
    other processes  following: live on until the first has stopped, so that it waits for nobody
    workers          leave_to_parent: they inherit the handler, and must not stop the run

A signal is an exception (`Stopped`), as it may come anywhere: while features are extracted, in an
epoch, in a prediction. No loop has to look for it but that of training: what is raised in a
destructor Python swallows, so `KeepSignals` asks once more after every batch.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer

from sermm.core.errors import INTERRUPTED
from sermm.core.slurm_time import seconds_of
from sermm.runs.folder import RunFolder
from sermm.runs.metrics import progress
from sermm.runs.slurm.attempts import MOST, TIRED, count
from sermm.runs.slurm.job import ask, current_job, ending, requeue

SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
# srun and slurmd both pass on one SIGTERM.
REPEAT_S = 5.0
# How long the other processes of a run outlive its first one, which must not wait for them.
FOLLOWER_S = 20.0
# What another process of the run dies of can be seen before one's own signal arrives.
LATE_S = 1.0
NEAR_S = 900
_PARENT_DEATH = 1
# What stopped a run, as far as it is known.
Stop = Literal["preempted", "cancelled", "interrupted"]


class Stopped(KeyboardInterrupt):
    """The run was told to stop; its message says by what."""


class Watch:
    """Hears the signals of the first process of a run; used as their handler.

    Args:
        folder: of the run.

    Attributes:
        heard: the first signal; None until one comes.
        heard_s: when, by the monotonic clock.
        begun_s: when this process began, in seconds since 1970, as files have it.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.pid = os.getpid()
        self.begun_s = time.time()
        self.heard: signal.Signals | None = None
        self.heard_s = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stops the run, or, the second time, the process.

        srun and slurmd both pass on one SIGTERM, so a second one counts only `REPEAT_S` later.

        Raises:
            Stopped: this is the first signal.
        """
        if os.getpid() != self.pid:
            leave_to_parent(number)
        elif self.heard is None:
            self.heard, self.heard_s = signal.Signals(number), time.monotonic()
            raise Stopped(self.heard.name)
        elif time.monotonic() - self.heard_s > REPEAT_S:
            with suppress(OSError):
                reason = f"ended at once by a second signal, after {self.heard.name}"
                self.folder.write_status("interrupted", reason)
            os._exit(INTERRUPTED)

    def check(self) -> None:
        """Stops the run if a signal came where nothing can be raised, such as in a destructor.

        Raises:
            Stopped: one came.
        """
        if self.heard is not None:
            raise Stopped(self.heard.name)

    def verdict(self) -> tuple[str, bool]:
        """Why the run stops, and whether its job is to be put back into the queue.

        Asks Slurm, as the signal itself does not tell: SIGTERM comes from a preemption, which may
        requeue the job, and from scancel, which must not be undone.
        """
        if self.heard is None:
            raise RuntimeError("no signal has come")
        job, name = current_job(), self.heard.name
        if job is None:
            return f"stopped by {name}; run it again to resume", False
        fields = ask(job.name)
        if not fields:
            return f"{name} in Slurm job {job.name}; scontrol does not answer, not requeued", False
        if fields.get("JobState") != "RUNNING":
            return f"{name}: {ending(job, fields)}", False
        if job.tasks > 1 and self.heard == signal.SIGTERM:
            return (
                f"{name} while Slurm job {job.name} was running: another process of the run may "
                "have failed, see the log",
                False,
            )
        if fields.get("Requeue") != "1":
            return f"preempted: {name} from Slurm job {job.name}, which may not be requeued", False
        if near_end(fields) and not self.has_progressed():
            return f"{name}: not one epoch fits into the time limit; ask for more time=", False
        epochs, _ = progress(self.folder.path)
        run = self.folder.job or self.folder.path.name
        if count(self.folder.path.parent, run, job.name, epochs or 0) >= MOST:
            return f"{name}: {TIRED}", False
        return f"preempted: {name} from Slurm, job {job.name} requeued", True

    def has_progressed(self) -> bool:
        """Whether this process has finished an epoch.

        If not, and the time limit is what ends it, requeueing would go round for ever.
        """
        last = self.folder.last
        return last.exists() and last.stat().st_mtime >= self.begun_s


def stop_of(reason: str) -> Stop:
    """Which kind of stop a reason tells of, be it ours (`Watch.verdict`) or that of `ending`."""
    if reason.startswith("preempted") or "Slurm requeued job" in reason:
        return "preempted"
    return "cancelled" if "was cancelled" in reason else "interrupted"


def near_end(fields: dict[str, str]) -> bool:
    """Whether a signal is likely to be the warning before the time limit.

    Args:
        fields: what `ask` returned.
    """
    limit_s = seconds_of(fields.get("TimeLimit", "UNLIMITED"))
    run_s = seconds_of(fields.get("RunTime", "00:00:00"))
    return limit_s is not None and run_s is not None and limit_s - run_s < NEAR_S


def leave_to_parent(number: int) -> None:
    """What a worker does, which has inherited the handler: only SIGTERM is meant for it too."""
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def stoppable(folder: RunFolder, leaving: Callable[[], None] | None = None) -> Iterator[None]:
    """The body is a run: `folder.running()`, and what signals make of it.

    An error while Slurm is ending the job may only be its consequence: a worker or another process
    that died first. So for a moment the signal is awaited, and if it comes the run was interrupted
    and has not failed.

    Args:
        folder: of the run.
        leaving: called before the job is put back into the queue, after which Slurm may kill this
            process at any moment; must be quick.

    Raises:
        Stopped: a signal came; the folder says so, and the job is requeued where it may be.
    """
    watch, wanted = Watch(folder), False
    try:
        with folder.running():
            try:
                with handled(watch):
                    yield
            except BaseException as error:
                if watch.heard is None and current_job() is None:
                    raise
                await_signal(watch)
                if watch.heard is None:
                    raise
                if folder.state == "finished":
                    # It came too late to stop anything.
                    return
                reason, wanted = watch.verdict()
                print(reason, file=sys.stderr, flush=True)
                raise Stopped(reason) from error
    except Stopped:
        if wanted:
            if leaving is not None:
                leaving()
            put_back(folder)
        raise


def await_signal(watch: Watch) -> None:
    """Gives a signal that has killed a worker of the run already the time to arrive."""
    with handled(watch), suppress(Stopped):
        if watch.heard is None:
            time.sleep(LATE_S)


def put_back(folder: RunFolder) -> None:
    """Requeues the job; the folder says so if that failed.

    Last of all: Slurm may kill this process as soon as it has been asked.
    """
    job = current_job()
    problem = None if job is None else requeue(job)
    if problem is not None:
        error = f"preempted, but scontrol requeue failed: {problem}; sermm retry submits it again"
        folder.write_status("interrupted", error)
        print(error, file=sys.stderr, flush=True)


@contextmanager
def handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """The body with a handler for the three signals; afterwards they are as before.

    Once `handler` is a watch that has heard one, they stay ignored: the process is ending. Outside
    the main thread, where Python allows no handlers, the body runs without.

    Args:
        handler: called with the signal's number and the interrupted frame.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        heard = isinstance(handler, Watch) and handler.heard is not None
        for number, old in before.items():
            signal.signal(number, signal.SIG_IGN if heard else old)


@contextmanager
def following() -> Iterator[None]:
    """The body is another process of a run, which goes on until the first one has stopped.

    So no collective operation of the first one waits for a process that is gone. Started by
    Lightning, it dies with the first one even if that is killed.
    """
    job = current_job()
    if sys.platform == "linux" and (job is None or job.tasks == 1):
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
    signalled = threading.Event()

    def end_later(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        signalled.set()
        timer = threading.Timer(FOLLOWER_S, os._exit, [INTERRUPTED])
        timer.daemon = True
        timer.start()

    with handled(end_later):
        try:
            yield
        except Exception:
            if signalled.is_set():
                # Only that the first process has gone.
                os._exit(INTERRUPTED)
            raise


class KeepSignals(Callback):
    """Puts the handlers back over Lightning's, which forward SIGTERM in the midst of a batch.

    Made before Lightning puts in its own, so that it knows those that were there.
    """

    def __init__(self) -> None:
        self.handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Before the first batch."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self.handlers.items():
                signal.signal(number, handler)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:  # noqa: ARG002
        """After every batch: did a signal come that could not be raised?"""
        for handler in self.handlers.values():
            if isinstance(handler, Watch):
                handler.check()
