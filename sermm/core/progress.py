"""Progress of long work on stderr: how far, how fast, how long yet."""

import sys
import time
from types import TracebackType

_QUIET_S = 2.0
_LINE_S = 30.0


class Progress:
    """A bar on a terminal after 2 s, elsewhere a line every 30 s.

    Args:
        title: of the work.
        total_s: all of it, in seconds of speech.
    """

    def __init__(self, title: str, total_s: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._title, self._total_s, self._done_s = title, total_s, 0.0
        self._begun = self._said = time.monotonic()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} % {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(title, total=total_s, rate="")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar.live.is_started:
            self._bar.stop()

    def advance(self, seconds: float) -> None:
        """So many more seconds of speech are done."""
        self._done_s += seconds
        now = time.monotonic()
        rate = f"{self._done_s / max(1e-9, now - self._begun):.1f}x real time"
        self._bar.update(self._task, advance=seconds, rate=rate)
        if sys.stderr.isatty():
            if not self._bar.live.is_started and now - self._begun > _QUIET_S:
                self._bar.start()
        elif now - self._said > _LINE_S:
            self._said = now
            share = self._done_s / max(1e-9, self._total_s)
            left_s = (now - self._begun) * max(0.0, 1 - share) / max(1e-9, share)
            print(
                f"{self._title}: {100 * share:.0f} %, {rate}, {left_s / 60:.0f} min left",
                file=sys.stderr,
                flush=True,
            )

    def say(self, what: str) -> None:
        """Shows what is going on instead."""
        self._bar.update(self._task, description=f"{self._title}: {what}")
