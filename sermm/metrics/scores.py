"""Scores from one accumulated confusion matrix C, `[k k]`: rows are labels, columns predictions.

With n_i = sum_j C_ij examples of class i, and K the classes that have at least one:

    recall_i    = C_ii / n_i                    UA = mean of recall_i over K
    precision_i = C_ii / sum_j C_ji             WA = sum_i C_ii / sum_i n_i
    F1_i        = 2 C_ii / (n_i + sum_j C_ji)   macro F1 = mean of F1_i over K
                                                weighted F1 = sum_i n_i F1_i / sum_i n_i

A class that nobody expressed has no recall, so it takes no part in a mean (None in `Scores`); a
class that was never predicted has precision 0. All scores are fractions from 0 to 1. Scores of
batches are never averaged: add the matrices, then score.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

# Of the bootstrap, unless a caller says otherwise.
DRAWS = 1000


@dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix, as fractions; None where a class has no example.

    Attributes:
        ua: unweighted accuracy, the mean recall over the classes that have examples.
        wa: weighted accuracy, the share of all utterances that are right.
        f1_macro: mean F1 over the classes that have examples.
        f1_weighted: mean F1 weighted by the number of examples.
        recall: by class, in the order of the matrix.
        precision: by class.
        f1: by class.
        n: the number of utterances.
    """

    ua: float
    wa: float
    f1_macro: float
    f1_weighted: float
    recall: tuple[float | None, ...]
    precision: tuple[float | None, ...]
    f1: tuple[float | None, ...]
    n: int


def confusion(
    labels: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], k: int
) -> Int[np.ndarray, "k k"]:
    """Counts pairs of class indices: rows are labels, columns predictions.

    Raises:
        ValueError: a class index is not in 0..k-1.
    """
    for name, values in (("labels", labels), ("predictions", predicted)):
        if len(values) and (values.min() < 0 or values.max() >= k):
            raise ValueError(
                f"{name} must be class indices from 0 to {k - 1}, got {values.min()} to "
                f"{values.max()}"
            )
    return np.bincount(labels * k + predicted, minlength=k * k).reshape(k, k)


def averages(tables: Int[np.ndarray, "*b k k"]) -> dict[str, Float[np.ndarray, "*b"]]:
    """UA, WA, macro and weighted F1 of many confusion matrices; NaN where one is empty."""
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    examples = tables.sum(-1)
    recall, f1 = _ratio(right, examples), _f1(tables)
    present = examples > 0
    return {
        "ua": _mean(recall, present),
        "wa": _ratio(right.sum(-1), examples.sum(-1)),
        "f1_macro": _mean(f1, present),
        "f1_weighted": _ratio((np.where(present, f1, 0) * examples).sum(-1), examples.sum(-1)),
    }


def scores(table: Int[np.ndarray, "k k"]) -> Scores:
    """All scores of one confusion matrix.

    Raises:
        ValueError: the matrix is empty, so no score exists.
    """
    if not table.sum():
        raise ValueError("no utterance was counted, so there is no score")
    right, examples, predicted = np.diagonal(table), table.sum(-1), table.sum(-2)
    precision = np.nan_to_num(_ratio(right, predicted))
    means = {name: float(values[0]) for name, values in averages(table[None]).items()}
    return Scores(
        **means,
        recall=_by_class(_ratio(right, examples), examples),
        precision=_by_class(precision, examples),
        f1=_by_class(_f1(table), examples),
        n=int(table.sum()),
    )


def resamples(
    d: int, generator: np.random.Generator, draws: int = DRAWS
) -> Int[np.ndarray, "draws d"]:
    """Bootstrap draws: how often each of d dialogues is taken, d with replacement in each draw.

    Raises:
        ValueError: there are fewer than two dialogues.
    """
    if d < 2:
        raise ValueError(f"resampling needs at least 2 dialogues, got {d}")
    return generator.multinomial(d, np.full(d, 1 / d), size=draws)


def intervals(
    tables: Int[np.ndarray, "s d k k"], times: Int[np.ndarray, "r d"]
) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap intervals of the pooled scores, resampled by dialogue.

    Each draw adds the matrices of its dialogues, the same ones for every random seed s, scores
    each seed and takes the mean over the seeds.

    Args:
        tables: a confusion matrix for each seed and dialogue.
        times: from `resamples`.

    Returns:
        Low and high end by metric.
    """
    drawn = averages(np.einsum("rd,sdij->rsij", times, tables, optimize=True))
    return {name: _middle(values) for name, values in drawn.items()}


def _middle(values: Float[np.ndarray, "r s"]) -> tuple[float, float]:
    by_draw = _mean(values, ~np.isnan(values))
    low, high = np.quantile(by_draw[~np.isnan(by_draw)], [0.025, 0.975])
    return float(low), float(high)


def _f1(tables: Int[np.ndarray, "*b k k"]) -> Float[np.ndarray, "*b k"]:
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    return _ratio(2 * right, tables.sum(-1) + tables.sum(-2))


def _ratio(
    above: Int[np.ndarray, "*b"] | Float[np.ndarray, "*b"], below: Int[np.ndarray, "*b"]
) -> Float[np.ndarray, "*b"]:
    """Quotient; NaN where the divisor is 0."""
    quotient = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient


def _mean(
    values: Float[np.ndarray, "*b k"], where: Bool[np.ndarray, "*b k"]
) -> Float[np.ndarray, "*b"]:
    """Mean of the chosen values along the last axis; NaN where none is chosen."""
    return _ratio(np.where(where, values, 0.0).sum(-1), where.sum(-1))


def _by_class(
    values: Float[np.ndarray, " k"], examples: Int[np.ndarray, " k"]
) -> tuple[float | None, ...]:
    return tuple(
        float(value) if count else None for value, count in zip(values, examples, strict=True)
    )
