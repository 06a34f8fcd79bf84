"""The run folder: the only record of a run, always in a state that tells the truth.

    start   config.yaml
    running status.json says "running" and beats; checkpoints, metrics.csv, predictions.csv
    finish  result.json, then status.json says "finished"

The order is what makes it true at every moment: whoever finds "finished" finds the result, and a
process that is killed anywhere leaves "running" with a heartbeat that stops (`sermm.runs.status`).
A lock keeps a second process out (`sermm.runs.lock`).
"""

import shutil
import threading
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sermm.core.damage import damaged
from sermm.core.errors import InputError
from sermm.core.files import place, whole_file, write_text
from sermm.runs.layout import CONFIG, EVENTS, METRICS, PREDICTIONS, RESULT, STATUS
from sermm.runs.lock import LOCK, locked
from sermm.runs.result import Result
from sermm.runs.slurm.job import READY, current_job
from sermm.runs.status import Reported, State, Status, standing

HEARTBEAT_S = 30.0
# What a folder is called while it is deleted; hidden, so that it is no run any more.
FORGOTTEN = ".forgotten-"
BY_SIGNAL = "stopped by a signal; run it again to resume"


class RunBusyError(InputError):
    """Another process is working in the run folder."""


class RunFolder:
    """`runs/<study>/<key>/`; nothing is read or made before a method is called.

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
    def other(self) -> Path:
        """Weights of the epoch that validation chose, where the last is; gone once finished."""
        return self.path / "checkpoints" / "other.ckpt"

    @property
    def last(self) -> Path:
        """All that is needed to go on after the last whole epoch; gone once it has finished."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def before(self) -> Path:
        """What `last` was one epoch ago, should that be damaged; likewise gone in the end."""
        return self.path / "checkpoints" / "before.ckpt"

    @property
    def assets(self) -> Path:
        """What encoders need beside weights, a folder each: a run can be used anywhere."""
        return self.path / "encoders"

    @property
    def result(self) -> Result | None:
        """The result of a finished run, else None.

        Raises:
            InputError: status or result is damaged, or of a newer format.
        """
        status = self.status
        if status is None or status.state != "finished":
            return None
        try:
            return Result.read(self.path)
        except FileNotFoundError as error:
            raise damaged(self.path / RESULT, "the run is finished, and it is not there") from error

    def finished(self) -> Result:
        """The result.

        Raises:
            InputError: the run is not finished, or as `result`.
        """
        result = self.result
        if result is None:
            raise InputError(
                f"{self.path} is {self.state or 'not started'}, not finished; the command that "
                "started it resumes it"
            )
        return result

    @property
    def status(self) -> Status | None:
        """What the run says of itself; None where it says nothing.

        Raises:
            InputError: the file is damaged, or of a newer format.
        """
        try:
            return Status.read(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    @property
    def state(self) -> State | None:
        """How the run stands; None where there is none."""
        return standing(self.path).state if (self.path / STATUS).is_file() else None

    @property
    def reason(self) -> str:
        """Why it is not finished, in one line."""
        found = standing(self.path)
        return (found.reason or found.state) if self.state else "not started"

    @property
    def busy(self) -> bool:
        """Whether another process works in it; asks for the lock, and gives it back at once."""
        if not (self.path / LOCK).exists():
            return False
        with locked(self.path) as mine:
            return not mine

    def start(self, config: str) -> None:
        """Makes the folder and writes the configuration.

        Args:
            config: resolved, as YAML; a run that resumes writes the same once more.

        Raises:
            InputError: the folder cannot be written.
        """
        make_folder(self.path)
        write_text(self.path / CONFIG, config)

    def write_status(self, state: Reported, error: str | None = None) -> None:
        """Says how the run is, as this process.

        Args:
            state: how.
            error: why, for a run that failed or was interrupted.
        """
        slurm = current_job()
        name = None if slurm is None else slurm.name
        Status.of_this_process(state, error, self.job, name).write(self.path)

    def finish(self, result: Result) -> None:
        """Writes the result, then says so; what it needed until then goes.

        Args:
            result: the status says "finished" only after it is there.
        """
        result.write(self.path)
        self.write_status("finished")
        for path in (self.last, self.before, self.other):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forgets all but the folder's lock: a run that starts anew starts from nothing."""
        for name in ("encoders", "checkpoints"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in (METRICS, PREDICTIONS, RESULT, STATUS, READY):
            (self.path / name).unlink(missing_ok=True)

    def forget(self) -> None:
        """Removes the folder: gone for all who look at once, as it is renamed before it is deleted.

        Raises:
            RunBusyError: it is running, or another process is at it.
            InputError: it is a link, and what it points to is not of this study.
        """
        if self.path.is_symlink():
            raise InputError(f"{self.path} is a link to a folder elsewhere; remove it by hand")
        with self._locked():
            if standing(self.path).state == "running":
                raise RunBusyError(f"{self.path} is running; stop it first")
            hidden = self.path.with_name(f"{FORGOTTEN}{self.path.name}-{uuid.uuid4().hex[:8]}")
            self.path.rename(hidden)
            _forget_events(self.path)
        shutil.rmtree(hidden)

    def remove(self) -> bool:
        """Removes the folder with all that is in it, unless another process works in it.

        Returns:
            Whether it is gone.
        """
        try:
            with self._locked():
                shutil.rmtree(self.path)
        except RunBusyError:
            return False
        return True

    @contextmanager
    def running(self) -> Iterator[None]:
        """The state while the body runs and after it fails or is interrupted.

        A thread writes a heartbeat every `HEARTBEAT_S` seconds. It has ended before the last status
        is written, which it could else overwrite. After a body that ends well the state is what
        `finish` has written.

        Raises:
            RunBusyError: another process on this file system holds the folder.
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
                message = str(error) if isinstance(error, KeyboardInterrupt) else ""
                self.write_status("interrupted", message or BY_SIGNAL)
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
        with locked(self.path) as mine:
            if not mine:
                raise RunBusyError(
                    f"{self.path} is being run by another process; wait for it, or use another "
                    "study="
                )
            yield

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(HEARTBEAT_S):
            with suppress(OSError):
                self.write_status("running")

    @staticmethod
    def _stop(stop: threading.Event, beat: threading.Thread) -> None:
        stop.set()
        beat.join()


def events_folder(folder: Path, system: str, place: str) -> Path:
    """Where TensorBoard finds a run under a name for people; the key's digits keep runs apart.

    Args:
        folder: of the run.
        system: what its system is called, in characters of a file's name.
        place: fold and seed, likewise.
    """
    return folder.parent / EVENTS / system / f"{place}-{folder.name[:8]}"


def clear_events(folder: Path) -> list[Path]:
    """Removes what TensorBoard shows of a run; returns the folders that are gone."""
    found = list(folder.parent.glob(f"{EVENTS}/*/*-{folder.name[:8]}"))
    for events in found:
        shutil.rmtree(events, ignore_errors=True)
    return found


def _forget_events(folder: Path) -> None:
    """The same, with the folders above that are empty then."""
    for events in clear_events(folder):
        for above in (events.parent, events.parent.parent):
            # another run's is there
            with suppress(OSError):
                above.rmdir()


def make_folder(path: Path) -> None:
    """Makes a folder for runs, and a file in it for a moment.

    A folder that is there already may still refuse files; better now than after an epoch.

    Args:
        path: of the run, or of the study before a sweep starts.

    Raises:
        InputError: it cannot be made or written.
    """
    with place(path, "run folder", "runs_dir", "SERMM_RUNS"):
        path.mkdir(parents=True, exist_ok=True)
        with whole_file(path / ".writable") as probe:
            probe.touch()
        (path / ".writable").unlink(missing_ok=True)
