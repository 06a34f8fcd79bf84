"""The case `pool` of `sermm bench`: what starting a job costs, in a pool and as a fresh process.

The pool forks its jobs from a process that has imported torch and Lightning already
(`sermm.sweeps.pool.PRELOAD`). A sweep of small runs would else spend its time on imports.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from sermm.bench.measures import Measurement, scratch
from sermm.bench.timing import best_of, ratio, run
from sermm.sweeps.pool import PRELOAD, Job, Pool, Slot

_JOBS = 20


def pool_case() -> list[Measurement]:
    """A job that imports what a run imports and ends: one after the other in a pool, and alone."""
    with scratch() as folder:
        first_s, warm_s = started(folder, _JOBS)
    imports = "; ".join(f"import {name}" for name in PRELOAD)
    fresh_s = best_of(2, lambda: run([sys.executable, "-c", imports]))
    return [
        Measurement("pool", "a fresh process", fresh_s, "s"),
        Measurement("pool", "the pool's first job, with its fork server", first_s, "s"),
        Measurement("pool", f"a job of a warm pool, median of {_JOBS - 1}", warm_s, "s", 1.0),
        Measurement("pool", "ratio of a fresh process to that", ratio(fresh_s, warm_s), "x"),
    ]


def started(folder: Path, n: int) -> tuple[float, float]:
    """Seconds of the first of n jobs, and the median of the others.

    One slot, so that a job starts when the one before it ends: the time between two ends is that of
    one job.

    Args:
        folder: for their logs.
        n: jobs, two or more.
    """
    jobs = [Job((), folder / "log", str(number), folder) for number in range(n)]
    ends: list[float] = []
    begun_s = time.monotonic()
    pool = Pool(imported, [Slot()], lambda job: ends.append(job.ended_s or 0.0), lambda _: None)
    pool.run(jobs)
    first, *others = (end - start for start, end in zip([begun_s, *ends], ends, strict=False))
    return first, statistics.median(others)


def imported(words: Sequence[str]) -> int:  # noqa: ARG001
    """The job: imports what a run imports. Returns the exit status."""
    for name in PRELOAD:
        import_module(name)
    return 0
