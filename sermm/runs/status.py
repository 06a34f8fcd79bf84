"""`status.json`: how a run is, as it says itself, and what that means to others.

A process that is killed cannot say so: its file keeps saying "running". So each says who it is and
when it last lived, and `Status.standing` is the one place that judges whether that can be believed.
On the same host the process is looked up, which is certain; on another one the heartbeat decides.
Clocks of hosts are taken to agree to well within `HEARTBEAT_LIMIT`.
"""

import errno
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from sermm.core.damage import damaged
from sermm.core.files import write_json
from sermm.runs.fields import record
from sermm.runs.layout import FORMAT, STATUS, read_object

# In the file: what a run says of itself.
Reported = Literal["running", "finished", "failed", "interrupted"]
# How a run stands: what it says of itself if that can be believed, or "unreadable". One that a
# sweep has planned and that has no folder so far is waiting; of those that were handed to Slurm,
# Slurm says more.
State = Literal[
    "failed",
    "unreadable",
    "cancelled",
    "interrupted",
    "not_submitted",
    "running",
    "starting",
    "queued",
    "waiting",
    "finished",
]
STATES: tuple[State, ...] = get_args(State)
# A process is at it, or Slurm will start one.
ALIVE: frozenset[State] = frozenset({"running", "starting", "queued"})
HEARTBEAT_LIMIT = timedelta(minutes=5)


@dataclass(frozen=True)
class _File:
    """The fields of the file, before the state and the time are looked at."""

    state: str
    error: str | None = None
    host: str | None = None
    pid: int | None = None
    heartbeat: str | None = None
    job: str | None = None
    slurm: str | None = None


@dataclass(frozen=True)
class Status:
    """What a run says of itself.

    Attributes:
        state: what it says that it is doing.
        error: why it failed or was interrupted, a traceback perhaps.
        host, pid: the process that said so.
        heartbeat: its last sign of life; None only where it is not running.
        job: which job of a sweep it is (`sermm.runs.plans.job_id`), if any.
        slurm: Slurm's name of its job.
    """

    state: Reported
    error: str | None = None
    host: str | None = None
    pid: int | None = None
    heartbeat: datetime | None = None
    job: str | None = None
    slurm: str | None = None

    @classmethod
    def of_this_process(
        cls, state: Reported, error: str | None, job: str | None, slurm: str | None
    ) -> "Status":
        """What this process says now, to the second, in UTC.

        Args:
            state: of its run.
            error: why, if it is at an end; None while all is well.
            job: which job of a sweep it is.
            slurm: Slurm's name of its job.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        return cls(state, error, _host(), os.getpid(), now, job, slurm)

    @classmethod
    def read(cls, folder: Path) -> "Status":
        """Reads the status of a run folder.

        Raises:
            FileNotFoundError: it has none; likewise NotADirectoryError.
            InputError: the file is damaged, or of a newer format.
        """
        path = folder / STATUS
        given = read_object(path)
        try:
            found = record(_File, given, STATUS)
            if found.state not in get_args(Reported):
                raise ValueError(f"state is {found.state!r}, expected {_among(Reported)}")
            beat = _time(found.heartbeat)
            if beat is None and found.state == "running":
                raise ValueError("it is running, and has no heartbeat")
        except ValueError as error:
            raise damaged(path, str(error)) from error
        return cls(**{**vars(found), "heartbeat": beat})

    def write(self, folder: Path) -> None:
        """Replaces the status of a run folder, whole or not at all: others may be reading it."""
        write_json(folder / STATUS, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The fields as `status.json` has them."""
        beat = self.heartbeat and self.heartbeat.isoformat()
        return {**asdict(self), "heartbeat": beat, "format": FORMAT}

    @property
    def standing(self) -> "Standing":
        """What that means now.

        What says that it is running is interrupted if its process is gone from this host, or has
        given no sign of life for `HEARTBEAT_LIMIT`.
        """
        if self.state != "running" or self.heartbeat is None:
            lines = (self.error or "").strip().splitlines()
            return Standing(self.state, lines[-1] if lines else "", self)
        if self._gone():
            return Standing("interrupted", f"process {self.pid} is gone from {self.host}", self)
        if datetime.now(UTC) - self.heartbeat > HEARTBEAT_LIMIT:
            reason = f"no sign of life since {self.heartbeat.isoformat()}"
            return Standing("interrupted", reason, self)
        return Standing("running", "", self)

    def _gone(self) -> bool:
        if self.pid is None or self.pid < 1 or self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except OverflowError:
            # no process ever had that number
            return True
        except OSError as error:
            # not permitted: there is one, of another user
            return error.errno == errno.ESRCH
        return False


class Standing(NamedTuple):
    """How a run stands.

    Attributes:
        reason: why it did not finish, or cannot be read, in one line; may be empty.
        status: what it says of itself; None where that cannot be read.
    """

    state: State
    reason: str
    status: Status | None = None


def standing(folder: Path) -> Standing:
    """How the run of a folder stands; what cannot be read is unreadable, and says why.

    Args:
        folder: of the run.

    Returns:
        Never an error: `sermm status` and the report go through thousands of folders, and list
            those
        that are damaged.
    """
    try:
        return Status.read(folder).standing
    except FileNotFoundError:
        return Standing("unreadable", f"no {STATUS}: half-written")
    except (OSError, ValueError) as error:
        return Standing("unreadable", str(error))


def _time(text: str | None) -> datetime | None:
    """With a time zone; what older files say without one is UTC."""
    if text is None:
        return None
    try:
        beat = datetime.fromisoformat(text)
        return beat.astimezone(UTC) if beat.tzinfo else beat.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"heartbeat is no time: {text!r}") from error


def _among(kind: Any) -> str:
    return ", ".join(get_args(kind))


@cache
def _host() -> str:
    return socket.gethostname()
