"""The run folder: the only record of a run, always in a state that tells the truth."""

import fcntl
import os
import shutil
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sermm.core.errors import InputError
from sermm.core.files import read_json, whole_file, write_json, write_text
from sermm.runs.slurm_job import current_job

State = Literal["running", "finished", "failed", "interrupted"]
HEARTBEAT_S = 30.0
INTERRUPTED = "stopped by a signal; run it again to resume"


class BusyError(InputError):
    """Another process is working in the run folder."""


class RunFolder:
    """`runs/<study>/<key>/`.

    Attributes:
        path: the folder.
        job: which job of a sweep works in it (`sermm.runs.plans.job_id`), if any.
    """

    def __init__(self, path: Path, job: str | None = None) -> None:
        self.path, self.job = path, job

    @property
    def best(self) -> Path:
        """Weights of the chosen epoch."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        """All that is needed to go on after the last whole epoch."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def assets(self) -> Path:
        """What encoders need beside weights, a folder each."""
        return self.path / "encoders"

    @property
    def result(self) -> dict[str, Any] | None:
        """The result of a finished run, else None."""
        if self.state != "finished":
            return None
        result: dict[str, Any] = read_json(self.path / "result.json")
        return result

    @property
    def state(self) -> str | None:
        """What `status.json` says; None where there is none."""
        try:
            return str(read_json(self.path / "status.json")["state"])
        except (FileNotFoundError, NotADirectoryError):
            return None

    @property
    def reason(self) -> str:
        """Why it is not finished, in one line."""
        try:
            error = str(read_json(self.path / "status.json")["error"] or "").strip()
        except (FileNotFoundError, NotADirectoryError):
            return "not started"
        return error.splitlines()[-1] if error else str(self.state)

    @property
    def busy(self) -> bool:
        """Whether another process works in it."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with self._locked():
                return False
        except BusyError:
            return True

    def start(self, config: str) -> None:
        """Makes the folder and writes the configuration.

        Raises:
            InputError: the folder cannot be written.
        """
        make_folder(self.path)
        write_text(self.path / "config.yaml", config)

    def write_status(self, state: State, error: str | None = None) -> None:
        """Replaces `status.json`."""
        slurm = current_job()
        status = {
            "state": state,
            "error": error,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "heartbeat": datetime.now(UTC).isoformat(timespec="seconds"),
            "job": self.job,
            "slurm": slurm and slurm.name,
        }
        write_json(self.path / "status.json", status)

    def finish(self, result: dict[str, Any]) -> None:
        """Writes the result, then says so; what only resuming needed goes."""
        write_json(self.path / "result.json", result)
        self.write_status("finished")
        self.last.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forgets all but the folder's lock: a run that starts anew starts from nothing."""
        for name in ("encoders", "checkpoints"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("metrics.csv", "predictions.csv", "result.json", "status.json"):
            (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The state while the body runs and after it fails or is interrupted.

        Raises:
            BusyError: another process on this file system holds the folder.
        """
        with self._locked():
            self.write_status("running")
            stop = threading.Event()
            beat = threading.Thread(target=self._beat, args=(stop,), daemon=True)
            beat.start()
            try:
                yield
            except (KeyboardInterrupt, SystemExit) as error:
                self._stop(stop, beat)
                said = str(error) if isinstance(error, KeyboardInterrupt) else ""
                self.write_status("interrupted", said or INTERRUPTED)
                raise
            except BaseException:
                self._stop(stop, beat)
                # A full disk must not hide what went wrong first.
                with suppress(OSError):
                    self.write_status("failed", traceback.format_exc())
                raise
            finally:
                self._stop(stop, beat)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    f"{self.path} is being run by another process; wait for it, or use another "
                    "study="
                ) from error
            yield

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(HEARTBEAT_S):
            with suppress(OSError):
                self.write_status("running")

    @staticmethod
    def _stop(stop: threading.Event, beat: threading.Thread) -> None:
        stop.set()
        beat.join()


def make_folder(path: Path) -> None:
    """Makes a folder for runs.

    Raises:
        InputError: it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with whole_file(path / ".writable") as probe:
            probe.touch()
        (path / ".writable").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write the run folder {path}: {error.strerror}; choose another place with "
            "runs_dir= or SERMM_RUNS"
        ) from error


def find_run(run: str, runs_dir: Path) -> Path:
    """The folder of a run, given as a folder or as a key (or its first digits).

    Raises:
        InputError: there is none, or several.
    """
    if (Path(run) / "config.yaml").is_file():
        return Path(run)
    found = sorted({p.parent for p in runs_dir.glob(f"*/{run}*/config.yaml")})
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{run!r} fits several runs: {', '.join(map(str, found[:5]))}; say more")
    raise InputError(
        f"no run {run!r}: neither a run folder nor a key in {runs_dir}; runs_dir= or SERMM_RUNS "
        "says where runs are"
    )
