"""Reads the run folders of a study: what finished, and why the rest did not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any

import polars as pl

from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.files import read_json
from sermm.core.records import Problem
from sermm.metrics.names import METRICS
from sermm.runs.reading.costs import checked
from sermm.runs.reading.fields import typed
from sermm.runs.reading.folders import run_folders, standing, title
from sermm.runs.reading.paper_curves import PaperCurve
from sermm.runs.reading.papers import PaperTable

_FILES = ("status.json", "result.json", "predictions.csv")
# polars works outside Python's lock, and so does the waiting for a disk
_THREADS = 8
_COLUMNS = ("utterance_id", "split", "label", "predicted", "group", "dialogue", "talker", "act")


@dataclass(frozen=True)
class Result:
    """What `result.json` says of a finished run: the part that a report needs.

    Attributes:
        system: digest of the configuration without fold and seed; identifies a row.
        settings: the user's overrides without fold, seed and study.
        cost: what predicting took; None for floors, combinations, and runs of older versions.
        headline: the metric that the protocol is judged by.
        selection: what chose the epoch: "val", "last", or "test" (a paper's own fault).
        variant: what it is in the terms of a paper: the model, and its streams where they vary.
        papers: whole tables of papers in which the variant has a cell, as
            `sermm.runs.reading.papers.PaperTable` describes them.
        curves: figures by epoch that papers print of the model, as
            `sermm.runs.reading.paper_curves.PaperCurve` describes them.
        published: figures of papers: source, metric, value in percent, protocol, note, and
            optionally data (iemocap if not given).
    """

    key: str
    system: str
    model: str
    variant: str
    settings: dict[str, Any]
    data: str
    protocol: str
    protocol_notes: str
    leaky: bool
    headline: str
    classes: list[str]
    fold: int
    n_folds: int
    seed: int
    split_digest: str
    metrics: dict[str, Any]
    parameters: dict[str, Any]
    seconds: dict[str, Any]
    cost: dict[str, Any] | None
    epochs: dict[str, Any]
    selection: str
    text_source: str | None
    notes: list[str]
    published: list[dict[str, Any]]
    papers: list[Any]
    curves: list[Any]
    counts: dict[str, Any]
    git: dict[str, Any]

    @classmethod
    def of(cls, found: Any) -> "Result":
        """Takes the fields from parsed JSON.

        Raises:
            ValueError: a field is missing or is of another type.
        """
        known = {"cost": None, **found} if isinstance(found, dict) else found
        given = typed(known, _TYPES, "result.json")
        given["cost"] = checked(given["cost"])
        if given["headline"] not in METRICS:
            raise ValueError(f"result.json: headline is {given['headline']!r}, not in {METRICS}")
        return cls(**given)


_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys([field.name for field in fields(Result)], (str,)),
    **dict.fromkeys(["settings", "metrics", "parameters", "seconds", "epochs"], (dict,)),
    **dict.fromkeys(["counts", "git"], (dict,)),
    **dict.fromkeys(["classes", "notes", "published", "papers", "curves"], (list,)),
    **dict.fromkeys(["fold", "n_folds", "seed"], (int,)),
    "leaky": (bool,),
    "text_source": (str, NoneType),
    "cost": (dict, NoneType),
}


_CHECKS: dict[str, Callable[[Any], object]] = {"papers": PaperTable.of, "curves": PaperCurve.of}
_Papers = dict[str, list[Any]]


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run.

    Attributes:
        folder: where it lies.
        result: what it says of itself.
        tests: its test predictions, counted: columns label and predicted (class index), group,
            unit (the dialogue, or the talker where there is none), act, n; of small types, as
            there may be thousands of runs.
        by_dialogue: the units are dialogues.
    """

    folder: Path
    result: Result
    tests: pl.DataFrame
    by_dialogue: bool


@dataclass(frozen=True)
class Study:
    """All run folders of a study.

    Attributes:
        runs: the finished ones, by folder name.
        problems: every other one; `kind` is its state, or "unreadable".
    """

    name: str
    folder: Path
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]


def read_study(folder: Path) -> Study:
    """Reads every run folder in `folder`; what cannot be read becomes a problem.

    Raises:
        InputError: no run has finished.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(partial(_read_run, papers={}), run_folders(folder)))
    runs = tuple(one for one in found if isinstance(one, Run))
    problems = tuple(one for one in found if isinstance(one, Problem))
    if not runs:
        why = "\n".join(f"  {p.where}: {p.what}" for p in problems) or "  it has no run folders"
        raise InputError(f"study {folder} has no finished run:\n{why}")
    return Study(folder.resolve().name, folder, runs, problems)


def _read_run(folder: Path, papers: _Papers) -> Run | Problem:
    try:
        state, error = standing(read_json(folder / "status.json"))
        if state != "finished":
            return Problem(_describe(folder), f"{state}: {error}" if error else state, state)
        result = _shared(Result.of(read_json(folder / "result.json")), papers)
        tests, by_dialogue = _read_tests(folder / "predictions.csv", result)
    except FileNotFoundError:
        absent = ", ".join(name for name in _FILES if not (folder / name).is_file())
        return Problem(_describe(folder), f"no {absent}: half-written", "unreadable")
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        return Problem(_describe(folder), f"{type(error).__name__}: {error}", "unreadable")
    return Run(folder, result, tests, by_dialogue)


def _shared(result: Result, papers: _Papers) -> Result:
    """The result with what papers print checked, and held once for all runs that have it."""
    held: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        found = getattr(result, name)
        key = digest([name, found])
        if key not in papers:
            for item in found:
                check(item)
            papers[key] = found
        held[name] = papers[key]
    return replace(result, **held)


def _describe(folder: Path) -> str:
    """The run's folder name, with model, fold and seed as far as its configuration tells."""
    found = title(folder)
    said = [f"{name} {found[name]}" for name in ("model", "fold", "seed") if name in found]
    return f"{folder.name} ({', '.join(said)})" if said else folder.name


def _read_tests(path: Path, result: Result) -> tuple[pl.DataFrame, bool]:
    # scanned, so that the rows of other splits are not built
    scan = pl.scan_csv(path, infer_schema=False).filter(pl.col("split") == "test")
    rows = scan.select(_COLUMNS).collect()
    if rows.is_empty():
        raise ValueError("predictions.csv has no test row")
    if rows["utterance_id"].n_unique() != len(rows):
        raise ValueError("predictions.csv names a test utterance twice")
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
    indices = [_indices(counted[column], result.classes) for column in ("label", "predicted")]
    return counted.with_columns(indices), by_dialogue


def _indices(codes: pl.Series, classes: list[str]) -> pl.Series:
    found = codes.to_list()
    if strange := set(found) - set(classes):
        raise ValueError(f"predictions.csv: {codes.name} holds {strange}, classes are {classes}")
    index = {name: i for i, name in enumerate(classes)}
    return pl.Series(codes.name, [index[code] for code in found], dtype=pl.UInt16)
