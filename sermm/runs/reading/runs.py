"""Reads the run folders of a study: what finished, and why the rest did not.

A study may have ten thousand runs with thousands of predictions each, so what stays in memory of a
run is small: counts of its test predictions instead of rows, and one copy of whatever is alike in
all results. A folder that cannot be read is a `Problem` and not an error: one of thousands must not
keep the others from being reported.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from sermm.core.errors import InputError
from sermm.core.records import Problem
from sermm.runs.layout import PREDICTIONS, RESULT, STATUS
from sermm.runs.plans import Plans, left, read_plans
from sermm.runs.reading.paper_curves import PaperCurve
from sermm.runs.reading.papers import PaperTable
from sermm.runs.reading.predictions import read_predictions, refuse_incomplete
from sermm.runs.result import Result
from sermm.runs.status import State, standing
from sermm.runs.studies import run_folders, title
from sermm.runs.systems import FinishedRun

_FILES = (STATUS, RESULT, PREDICTIONS)
# polars works outside Python's lock, and so does the waiting for a disk
_THREADS = 8
_COLUMNS = ("utterance_id", "split", "label", "predicted", "group", "dialogue", "talker", "act")
_CODED = ("label", "predicted")
# What most runs of a study say alike, and is held once for all of them.
_SHARED: dict[str, Callable[[Any], object] | None] = {
    "papers": PaperTable.of,
    "curves": PaperCurve.of,
    **dict.fromkeys(("published", "notes", "features", "versions")),
}
_Held = dict[tuple[str, str], Any]


@dataclass(frozen=True, eq=False)
class Run(FinishedRun):
    """A finished run with its predictions.

    Attributes:
        tests: its test predictions, counted: columns label and predicted (class index), group,
            unit (the dialogue, or the talker where there is none), act, n; of small types, as
            there may be thousands of runs.
        by_dialogue: the units are dialogues.
    """

    tests: pl.DataFrame
    by_dialogue: bool


@dataclass(frozen=True)
class Study:
    """All run folders of a study.

    Attributes:
        runs: the finished ones, by folder name.
        trials: those that withhold their test part, of which only validation is known.
        problems: every other one, planned ones too; `kind` is its state, or "unreadable".
    """

    name: str
    folder: Path
    runs: tuple[Run, ...]
    trials: tuple[FinishedRun, ...]
    problems: tuple[Problem, ...]


def read_study(folder: Path) -> Study:
    """Reads every run folder in `folder`; what cannot be read becomes a problem.

    Args:
        folder: of the study.

    Returns:
        Runs and problems by folder name, whichever thread was first.

    Raises:
        InputError: no run has finished.
    """
    folders = run_folders(folder)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(partial(_read_run, held={}), folders))
    runs = tuple(one for one, _ in found if isinstance(one, Run))
    trials = tuple(one for one, _ in found if type(one) is FinishedRun)
    jobs = {path.name: job for path, (_, job) in zip(folders, found, strict=True)}
    plans = read_plans(folder)
    unread = (one for one, _ in found if isinstance(one, Problem))
    problems = (*unread, *_planned(folder, plans, jobs))
    if not runs and not trials:
        why = "\n".join(f"  {p.where}: {p.what}" for p in problems) or "  it has no run folders"
        raise InputError(f"study {folder} has no finished run:\n{why}")
    return Study(folder.resolve().name, folder, runs, trials, problems)


def _planned(folder: Path, plans: Plans, jobs: Mapping[str, str | None]) -> Iterator[Problem]:
    """The runs that sweeps were asked for, and that have no folder.

    Those that wait are counted and not listed: a sweep that has just begun may have thousands.

    Args:
        folder: of the study.
        plans: of the study.
        jobs: which planned job each run was, by its key.
    """
    for path, why in plans.damaged.items():
        yield Problem(path.name, why, "unreadable")
    silent = {key for key, job in jobs.items() if job is None}
    rest = left(folder, plans.jobs, {job for job in jobs.values() if job}, silent)
    for job, why in rest.refused.items():
        yield Problem(" ".join(job.words), f"failed: {why}", "failed")
    if rest.waiting:
        n = len(rest.waiting)
        what = f"{n:,} planned run{' has' if n == 1 else 's have'} not begun"
        yield Problem(folder.resolve().name, f"{what}; sermm status lists what waits", "waiting")


def _read_run(folder: Path, held: _Held) -> tuple[FinishedRun | Problem, str | None]:
    """One folder, and which planned job it was."""
    state, reason, status = standing(folder)
    return _read(folder, state, reason, held), None if status is None else status.job


def _read(folder: Path, state: State, reason: str, held: _Held) -> FinishedRun | Problem:
    """One folder; `held` is shared by all threads, and a result put into it twice does no harm."""
    if state == "unreadable":
        return Problem(_describe(folder), _half_written(folder) or reason, state)
    if state != "finished":
        return Problem(_describe(folder), f"{state}: {reason}" if reason else state, state)
    try:
        result = _shared(Result.read(folder), held)
        if result.withheld:
            return FinishedRun(folder, result)
        tests, by_dialogue = _read_tests(folder, result)
    except (OSError, ValueError) as error:
        return Problem(_describe(folder), _half_written(folder) or str(error), "unreadable")
    return Run(folder, result, tests, by_dialogue)


def _half_written(folder: Path) -> str | None:
    """Which of the files of a finished run are absent; None if all are there."""
    absent = ", ".join(name for name in _FILES if not (folder / name).exists())
    return f"no {absent}: half-written" if absent else None


def _shared(result: Result, held: _Held) -> Result:
    """The result with what papers print checked, and what is alike in all runs held once."""
    same: dict[str, Any] = {}
    for name, check in _SHARED.items():
        found = getattr(result, name)
        key = (name, repr(found))
        if key not in held:
            if check is not None:
                for item in found:
                    check(item)
            held[key] = found
        same[name] = held[key]
    return replace(result, **same)


def _describe(folder: Path) -> str:
    """The run's folder name, with model, fold and seed as far as its configuration tells."""
    found = title(folder)
    parts = [f"{name} {found[name]}" for name in ("model", "fold", "seed") if name in found]
    return f"{folder.name} ({', '.join(parts)})" if parts else folder.name


def _read_tests(folder: Path, result: Result) -> tuple[pl.DataFrame, bool]:
    """The test predictions counted, and whether every utterance has a dialogue.

    Scores need only how often which label met which prediction; the bootstrap resamples dialogues,
    and parts are by act and group. Counting by all of these loses nothing that is reported.
    """
    rows = read_predictions(folder, result.classes, _COLUMNS, "test")
    refuse_incomplete(len(rows), result.counts.test, folder)
    by_dialogue = rows["dialogue"].null_count() == 0
    counted = (
        rows.lazy()
        .with_columns(unit=pl.coalesce("dialogue", "talker"))
        .group_by("label", "predicted", "group", "unit", "act")
        .agg(n=pl.len())
        .sort("label", "predicted", "group", "unit", "act")
        .with_columns(pl.col("group", "unit", "act").cast(pl.Categorical))
        .collect()
    )
    index = {name: i for i, name in enumerate(result.classes)}
    codes = [pl.col(one).replace_strict(index, return_dtype=pl.UInt16) for one in _CODED]
    return counted.with_columns(codes), by_dialogue
