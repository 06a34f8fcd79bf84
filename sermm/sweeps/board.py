"""What a pool is doing: what runs, how far it is, how many are left.

It asks no process anything: epoch and validation UA are read from the run folders, as those of a
run on another node would be.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from sermm.core.figures import fixed, percent
from sermm.runs.metrics import progress
from sermm.sweeps.pool import Job

_MOST_ROWS = 20
_DRAW_S = 0.5
_LINE_S = 60.0


class Board:
    """A table of the running jobs; where there is no terminal, a line every minute.

    Used as a context: within, the table is drawn, and taken away at the end.

    Args:
        total: how many jobs there are.
        n_slots: how many run at a time.

    Attributes:
        done: how many have finished, or had before.
        failed: how many have not.
    """

    def __init__(self, total: int, n_slots: int) -> None:
        self.total, self.n_slots = total, n_slots
        self.done = self.failed = 0
        self._durations_s: list[float] = []
        self._drawn_s = time.monotonic()
        console = Console()
        live = Live(console=console, auto_refresh=False, transient=True)
        self._live = live if console.is_terminal else None

    def __enter__(self) -> "Board":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def skipped(self, finished: bool) -> None:
        """Counts a job for which there is nothing to do: it had finished, or cannot be started."""
        self.done += finished
        self.failed += not finished

    def same(self) -> None:
        """Counts a job as the one before it that is the same run."""
        self.total -= 1

    def ended(self, job: Job) -> None:
        """Counts a job, and how long it took, from which follows the time that is left."""
        if job.state == "finished":
            self.done += 1
        else:
            self.failed += 1
        if job.started_s is not None and job.ended_s is not None:
            self._durations_s.append(job.ended_s - job.started_s)

    def show(self, running: Sequence[Job]) -> None:
        """Draws, twice a second at most: the pool looks more often than anybody reads."""
        now_s = time.monotonic()
        if now_s - self._drawn_s < (_DRAW_S if self._live else _LINE_S):
            return
        self._drawn_s = now_s
        if self._live is None:
            shown = map(_how_far, running[:_MOST_ROWS])
            print(self.line(len(running)), *shown, sep="; ", file=sys.stderr, flush=True)
            return
        table = Table("running", "epoch", "val UA", "s", box=None)
        for job in running[:_MOST_ROWS]:
            runs_s = now_s - (job.started_s or now_s)
            table.add_row(job.title, *_epoch_and_ua(job.folder), fixed(runs_s, 0))
        self._live.update(Group(table, self.line(len(running))), refresh=True)

    def line(self, n_running: int) -> str:
        """Counts and time left in one line; no time before a job has ended."""
        waiting = self.total - self.done - self.failed - n_running
        counts = f"{self.done} done, {self.failed} failed, {n_running} running, {waiting} waiting"
        if not self._durations_s:
            return counts
        each_s = sum(self._durations_s) / len(self._durations_s)
        # Those that run are taken to be half done.
        left_s = each_s * (waiting + n_running / 2) / self.n_slots
        left = f"{fixed(left_s, 0)} s" if left_s < 90 else f"{fixed(left_s / 60, 0)} min"
        return f"{counts}; about {left} left"


def _how_far(job: Job) -> str:
    """A running job with its last whole epoch, for one line of all."""
    epoch, ua = _epoch_and_ua(job.folder)
    reached = f"epoch {epoch}" if epoch else "no epoch yet"
    return f"{job.title}: {reached}{f', val UA {ua}' if ua else ''}"


def _epoch_and_ua(folder: Path) -> tuple[str, str]:
    """Two cells of the table: the last whole epoch and its validation UA in percent."""
    epoch, ua = progress(folder)
    return "" if epoch is None else str(epoch), "" if ua is None else percent(ua)
