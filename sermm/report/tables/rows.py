"""The statistics of one row: all runs of one system under one protocol.

Everything follows from the runs' counted test predictions, by way of confusion matrices, and not
from the scores that `result.json` states: these are only compared with them (`checks`). So two
kinds of figures can be had of the same runs:

| figure | how |
| --- | --- |
| mean, sd | a score for each run, then over the runs; what papers print |
| pooled, interval | the matrices of all folds added by seed, scored, then the mean over the seeds |

A mean over folds weighs a small fold like a large one, and its classes may be few; pooled scores
do not have this fault, and can be resampled by dialogue. Legend: s seeds, f folds, k classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import polars as pl

from sermm.core.seeding import generator
from sermm.metrics.names import METRICS
from sermm.metrics.scores import averages, intervals, resamples, scores
from sermm.report.tables.setups import Ran
from sermm.runs.reading.costs import CostOfRuns, costs
from sermm.runs.reading.runs import Run
from sermm.runs.result import Parameters, Published


@dataclass(frozen=True)
class Part:
    """Pooled scores on a part of the test utterances (an act, a group), as fractions.

    Attributes:
        ua: mean over the random seeds, likewise `wa`.
        n: the number of utterances, counted once however many seeds there are.
    """

    ua: float
    wa: float
    n: int


@dataclass(frozen=True)
class Row:
    """One system. Scores are fractions by metric (`ua`, `wa`, `f1_macro`, `f1_weighted`).

    Attributes:
        label: the model's name, with the settings that tell it from its namesakes.
        floor: it is a floor, not a system.
        n_expected: how many runs all folds of these seeds are.
        seeds: the random seeds that were run.
        n_folds: the number of folds that were run.
        mean: mean over the runs (folds x seeds).
        sd: sample standard deviation over the runs; None for a single run.
        seed_sd: sample standard deviation of the seeds' means over their folds; None for one seed.
        pooled: over the concatenated test predictions of all folds, mean over the seeds.
        interval: 95 % bootstrap interval of `pooled`; None with fewer than two units.
        unit: what the bootstrap resamples: "dialogue" or "talker".
        recall: pooled, by class; None for a class without examples.
        acts: improvised and scripted apart; groups: by session, say.
        confusion: summed over folds and seeds, `[k k]`.
        selection: what chose the epoch.
        costs: what predicting took, by the machine that it was measured on.
        ran: what the runs were run with.
        by_fold: the runs' confusion matrices by seed and fold, `[s f k k]`; empty where there is
            no such run.
    """

    label: str
    floor: bool
    n_runs: int
    n_expected: int
    seeds: tuple[int, ...]
    n_folds: int
    mean: dict[str, float]
    sd: dict[str, float | None]
    seed_sd: dict[str, float] | None
    pooled: dict[str, float]
    interval: dict[str, tuple[float, float]] | None
    unit: str
    recall: dict[str, float | None]
    acts: dict[str, Part]
    groups: dict[str, Part]
    confusion: list[list[int]]
    selection: tuple[str, ...]
    notes: tuple[str, ...]
    published: tuple[Published, ...]
    system: str
    parameters: Parameters
    train_s: float | None
    best_epoch: float | None
    costs: tuple[CostOfRuns, ...]
    ran: Ran
    by_fold: np.ndarray = field(compare=False, repr=False)


def row(label: str, runs: Sequence[Run]) -> Row:
    """The statistics of the runs (one or more) of one system; `label` is what its row is called."""
    results = [run.result for run in runs]
    first = results[0]
    k = len(first.classes)
    seeds = tuple(sorted({result.seed for result in results}))
    counts = pl.concat(map(_counts, runs))
    by_fold = _tables(counts, "fold", k)[1]
    by_seed = by_fold.sum(1)
    total = by_seed.sum(0)
    mean, sd = _spread(by_fold[by_fold.sum((-1, -2)) > 0])
    return Row(
        label=label,
        floor=first.floor,
        n_runs=len(runs),
        n_expected=first.n_folds * len(seeds),
        seeds=seeds,
        n_folds=len({result.fold for result in results}),
        mean=mean,
        sd=sd,
        seed_sd=_seed_sd(by_fold),
        pooled={name: float(values.mean()) for name, values in averages(by_seed).items()},
        interval=_interval(counts, k, f"{first.data}/{first.protocol}"),
        unit="dialogue" if all(run.by_dialogue for run in runs) else "talker",
        recall=dict(zip(first.classes, scores(total).recall, strict=True)),
        acts=_parts(counts, "act", k),
        groups=_parts(counts, "group", k),
        confusion=total.tolist(),
        selection=tuple(sorted({result.selection for result in results})),
        notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
        published=first.published,
        system=first.system,
        parameters=first.parameters,
        train_s=_mean([result.seconds.train for result in results]),
        best_epoch=_mean([result.epochs.best for result in results]),
        costs=costs(result.cost for result in results),
        ran=Ran.of(results),
        by_fold=by_fold,
    )


def run_scores(run: Run) -> dict[str, float]:
    """The scores of one run's test predictions, fractions by metric."""
    k = len(run.result.classes)
    table = np.zeros((1, k, k), dtype=np.int64)
    label, predicted, n = (run.tests[name].to_numpy() for name in ("label", "predicted", "n"))
    np.add.at(table[0], (label, predicted), n)
    return {name: float(values[0]) for name, values in averages(table).items()}


def _counts(run: Run) -> pl.DataFrame:
    """A run's counted predictions with seed and fold as columns, so that runs can be stacked."""
    seed, fold = pl.lit(run.result.seed, pl.Int64), pl.lit(str(run.result.fold))
    return run.tests.with_columns(seed=seed, fold=fold)


def _tables(counts: pl.DataFrame, by: str, k: int) -> tuple[list[str], np.ndarray]:
    """Confusion matrices by seed and value of a column, `[s m k k]`; nulls are left out."""
    counts = counts.filter(pl.col(by).is_not_null())
    seeds, seed = np.unique(counts["seed"].to_numpy(), return_inverse=True)
    values = counts[by].cast(pl.String)
    names = values.unique().sort()
    # codes by name, for which numpy would sort all the strings
    name = values.cast(pl.Enum(names)).to_physical()
    tables = np.zeros((len(seeds), len(names), k, k), dtype=np.int64)
    where = (seed, name.to_numpy(), counts["label"].to_numpy(), counts["predicted"].to_numpy())
    np.add.at(tables, where, counts["n"].to_numpy())
    return names.to_list(), tables


def _spread(tables: np.ndarray) -> tuple[dict[str, float], dict[str, float | None]]:
    """Mean and sample standard deviation over the runs, by metric.

    Args:
        tables: a confusion matrix for each run, `[r k k]`.
    """
    by_run = averages(tables)
    mean = {name: float(by_run[name].mean()) for name in METRICS}
    sd = {name: float(by_run[name].std(ddof=1)) if len(tables) > 1 else None for name in METRICS}
    return mean, sd


def _seed_sd(by_fold: np.ndarray) -> dict[str, float] | None:
    """Sample standard deviation of the seeds' means over their folds; None with one seed.

    What is left when the folds have been averaged out: how much the random seed alone changes.

    Args:
        by_fold: confusion matrices `[s f k k]`; empty where a seed lacks a fold.
    """
    if len(by_fold) < 2:
        return None
    by_run = averages(by_fold)
    # a fold that a seed lacks has no score
    return {name: float(np.nanmean(by_run[name], axis=1).std(ddof=1)) for name in METRICS}


def _interval(counts: pl.DataFrame, k: int, name: str) -> dict[str, tuple[float, float]] | None:
    """The 95 % interval of the pooled scores; None with fewer than two units to resample.

    By dialogue, as utterances of one dialogue are not independent; by talker where there are none.

    Args:
        counts: of all runs.
        k: classes.
        name: of the table, for its draws.
    """
    units, tables = _tables(counts, "unit", k)
    return intervals(tables, _draws(len(units), name)) if len(units) > 1 else None


@lru_cache(maxsize=4)
def _draws(d: int, name: str) -> np.ndarray:
    """The same draws for every row of a table, so that rows differ by their systems only."""
    return resamples(d, generator("report", name))


def _parts(counts: pl.DataFrame, by: str, k: int) -> dict[str, Part]:
    """Pooled UA and WA by value of a column; a seed with no utterance of one is left out."""
    names, tables = _tables(counts, by, k)
    parts = {}
    for i, name in enumerate(names):
        by_seed = tables[:, i][tables[:, i].sum((-1, -2)) > 0]
        got = averages(by_seed)
        n = int(by_seed.sum((-1, -2)).max())
        parts[name] = Part(float(got["ua"].mean()), float(got["wa"].mean()), n)
    return parts


def _mean(values: Sequence[float | int | None]) -> float | None:
    """Over those that are known; None if none is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
