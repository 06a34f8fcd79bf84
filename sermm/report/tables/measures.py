"""What a figure of a paper may be: how it is had from our runs, and how it is written.

Papers print more than scores: the F1 of two classes, parameters in millions, milliseconds. Each
kind is a `Metric` of `PAPER_METRICS` under the name that `conf/paper` uses
(`sermm.runs.reading.papers.FIGURES` lists the same names for checking). A new kind is a new entry
there; tables, differences and records follow from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sermm.core.figures import fixed
from sermm.metrics.names import METRICS
from sermm.report.tables.rows import Row

_SCORES = {"ua": "UA", "wa": "WA", "f1_macro": "macro F1", "f1_weighted": "weighted F1"}
_Pair = tuple[str, ...]


class Figure(NamedTuple):
    """Ours in its own unit: fractions, numbers of parameters, milliseconds, gigabytes.

    Attributes:
        mean: over the runs.
        sd: sample standard deviation over the runs; None for one run, or where it makes no sense.
        seed_sd: of the seeds' means over their folds.
    """

    mean: float
    sd: float | None = None
    seed_sd: float | None = None


@dataclass(frozen=True)
class Metric:
    """A kind of figure.

    Attributes:
        text: as people write it, with the unit; `{pair}` stands for the two classes.
        scale: ours times this is in the paper's unit.
        decimals: of ours and of the paper's.
        ours: from a row and, for some, two classes; None where the row does not have it.
        score: of test predictions, so that it depends on the protocol.
        spreads: it is a mean over the runs, with a deviation.
        compared: the difference of ours and the paper's says something.
    """

    text: str
    scale: float
    decimals: int
    ours: Callable[[Row, _Pair], Figure | None]
    score: bool = False
    spreads: bool = False
    compared: bool = True

    def written(self, value: float | None, nothing: str) -> str:
        """A value of ours in the paper's unit, or what stands for none."""
        return nothing if value is None else fixed(value, self.decimals, self.scale)

    def printed(self, value: float) -> str:
        """A value that is in the paper's unit."""
        return fixed(value, self.decimals)


def metric_text(name: str) -> str:
    """A score's name as people write it; other names as they are."""
    return _SCORES.get(name, name)


def pair_f1(table: Int[np.ndarray, "*b k k"], i: int, j: int) -> Float[np.ndarray, "*b"]:
    """Mean F1 of two classes, F1 = 2 C_ii / (n_i + sum_j C_ji); NaN where one has no example.

    Args:
        table: confusion matrices, rows are labels.
        i: one class.
        j: the other one.
    """
    right = np.diagonal(table, axis1=-2, axis2=-1)[..., [i, j]]
    examples = table.sum(-1)[..., [i, j]]
    both = examples + table.sum(-2)[..., [i, j]]
    f1 = np.where(examples > 0, 2 * right / np.maximum(both, 1), np.nan)
    mean: np.ndarray = f1.mean(-1)
    return mean


def _of_score(name: str, row: Row, pair: _Pair) -> Figure:  # noqa: ARG001
    """The mean and deviations that the row has already."""
    return Figure(row.mean[name], row.sd[name], row.seed_sd[name] if row.seed_sd else None)


def _of_pooled(name: str, row: Row, pair: _Pair) -> Figure:  # noqa: ARG001
    """Of all folds at once; it has no deviation over the runs."""
    return Figure(row.pooled[name])


def _of_pair(among: bool, row: Row, pair: _Pair) -> Figure | None:
    """F1 of two classes over the runs; None where the row does not have both.

    Args:
        among: only utterances whose label and prediction are of the two take part, as in a matrix
            `[2 2]`; else all do, and what was taken for a third class counts against them.
        row: of a system.
        pair: the classes by name.
    """
    classes = list(row.recall)
    if not set(pair) <= set(classes):
        return None
    i, j = (classes.index(name) for name in pair)
    tables = row.by_fold
    if among:
        tables, i, j = tables[..., [[i], [j]], [i, j]], 0, 1
    return _spread(pair_f1(tables, i, j))


def _spread(values: Float[np.ndarray, "s f"]) -> Figure | None:
    """Over the runs that have a value."""
    there = values[~np.isnan(values)]
    if not len(there):
        return None
    seeds = [of_seed[~np.isnan(of_seed)] for of_seed in values]
    means = [of_seed.mean() for of_seed in seeds if len(of_seed)]
    sd = float(there.std(ddof=1)) if len(there) > 1 else None
    return Figure(float(there.mean()), sd, float(np.std(means, ddof=1)) if len(means) > 1 else None)


def _of_parameters(name: str, row: Row, pair: _Pair) -> Figure:  # noqa: ARG001
    return Figure(float(getattr(row.parameters, name)))


def _of_cost(name: str, row: Row, pair: _Pair) -> Figure | None:  # noqa: ARG001
    """Milliseconds or memory of the row, if its runs were all measured on one kind of machine."""
    # over several machines there is no one figure; the table of costs has them all
    values = [getattr(cost, name) for cost in row.costs]
    return Figure(values[0]) if len(values) == 1 and values[0] is not None else None


# compared=False: time and memory are of a machine, a difference to a paper's says nothing.
PAPER_METRICS = {
    **{
        name: Metric(
            f"{_SCORES[name]} in percent", 100.0, 2, partial(_of_score, name),
            score=True, spreads=True,
        )
        for name in METRICS
    },
    "ua_pooled": Metric(
        "UA in percent, pooled over the folds, mean over the seeds",
        100.0, 2, partial(_of_pooled, "ua"), score=True,
    ),
    "f1_pair_mean": Metric(
        "mean of the F1 of {pair}, of all utterances, in percent",
        100.0, 2, partial(_of_pair, False), score=True, spreads=True,
    ),
    "f1_pair_among": Metric(
        "mean of the F1 of {pair} among utterances whose label and prediction are of the two, "
        "in percent",
        100.0, 2, partial(_of_pair, True), score=True, spreads=True,
    ),
    "parameters": Metric("all parameters in millions", 1e-6, 2, partial(_of_parameters, "total")),
    "trainable": Metric(
        "trained parameters in millions", 1e-6, 2, partial(_of_parameters, "trainable")
    ),
    "ms_per_sample": Metric(
        "milliseconds to predict one utterance, median over the runs",
        1.0, 1, partial(_of_cost, "ms_per_sample"), compared=False,
    ),
    "peak_memory_gb": Metric(
        "peak memory in GB (on a CPU of the whole process), the greatest of the runs",
        1.0, 2, partial(_of_cost, "peak_memory_gb"), compared=False,
    ),
}  # fmt: skip
