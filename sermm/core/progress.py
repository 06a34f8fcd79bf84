"""Progress of long work on stderr: how far, how fast, how long yet."""

import sys
import time
from types import TracebackType
from typing import Final

from sermm.core.figures import percent

SPEECH: Final = "s of speech"
_QUIET_S: Final = 2.0
_LINE_S: Final = 30.0


class Progress:
    """A bar on a terminal after 2 s; elsewhere a line every 30 s, and one at the end.

    Elsewhere is a file, a pipe or a notebook. What takes less than 2 s is not mentioned.

    Args:
        title: of the work.
        total: all of it, in units.
        unit: what is counted, one of them: a file, an epoch; by default seconds of speech.
    """

    def __init__(self, title: str, total: int | float, unit: str = SPEECH) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._title, self._total, self._unit = title, total, unit
        self._done, self._what, self._closed = 0.0, "", 0
        self._begun = self._printed = time.monotonic()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} % {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(title, total=total, rate="")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Takes the bar away; where there is none, says how far it came and what it took."""
        if self._bar.live.is_started:
            self._bar.stop()
        taken_s, self._closed = time.monotonic() - self._begun, self._closed + 1
        if self._closed == 1 and self._done and taken_s > _QUIET_S and not sys.stderr.isatty():
            rate = _rate(self._done, taken_s, self._unit)
            self._print_line(f"{rate}, took {duration(taken_s)}")

    def advance(self, units: int | float = 1) -> None:
        """So many more are done."""
        self._done += units
        now = time.monotonic()
        rate = _rate(self._done, now - self._begun, self._unit)
        self._bar.update(self._task, advance=units, rate=rate)
        if sys.stderr.isatty():
            if not self._bar.live.is_started and now - self._begun > _QUIET_S:
                self._bar.start()
        elif now - self._printed > _LINE_S:
            self._printed = now
            share = self._share
            left_s = (now - self._begun) * max(0.0, 1 - share) / max(1e-9, share)
            self._print_line(f"{rate}, about {duration(left_s)} left")

    def say(self, what: str) -> None:
        """Shows this behind the title from now on."""
        self._what = what
        self._bar.update(self._task, description=self._described)

    @property
    def _described(self) -> str:
        return f"{self._title}: {self._what}" if self._what else self._title

    @property
    def _share(self) -> float:
        return self._done / max(1e-9, self._total)

    def _print_line(self, times: str) -> None:
        line = f"{self._described}: {percent(self._share, 0)} %, {times}"
        print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A time for people: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _rate(done: float, taken_s: float, unit: str) -> str:
    """How fast, as people say it of that unit."""
    if unit == SPEECH:
        return f"{done / max(1e-9, taken_s):.1f}x real time"
    each_s = taken_s / max(1e-9, done)
    return f"{1 / each_s:.0f} {unit}s/s" if 0 < each_s < 0.5 else f"{each_s:.1f} s/{unit}"
