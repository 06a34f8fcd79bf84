"""UA of a study's runs under the conditions that `sermm evaluate condition=...` has tried.

Only what is the run's own test part counts (`Evaluation.as_trained`): other corpora and folds are
other questions. Clean speech is the run's own result where it has not been evaluated again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from sermm.configuration.conditions import CLEAN, in_order
from sermm.core.errors import InputError
from sermm.runs.evaluation import Evaluation, read_evaluations
from sermm.runs.reading.runs import Run


@dataclass(frozen=True)
class UnderCondition:
    """A system under one condition; UA as a fraction.

    Attributes:
        mean: of the runs that were evaluated so.
        sd: sample standard deviation; None of a single run.
        n_runs: how many they are.
    """

    mean: float
    sd: float | None
    n_runs: int


@dataclass(frozen=True)
class Conditions:
    """What evaluations say of one system.

    Attributes:
        by_name: by condition, clean first; empty where only clean speech was tried.
        damaged: why evaluations are not in it, one sentence each.
    """

    by_name: Mapping[str, UnderCondition]
    damaged: tuple[str, ...] = ()


def under_conditions(runs: Sequence[Run]) -> Conditions:
    """The conditions of one system's runs.

    Args:
        runs: of the system; their `evaluations/` are read here.
    """
    scores: dict[str, list[float]] = {}
    damaged = []
    for run in runs:
        try:
            found = _scores(read_evaluations(run.folder))
        except InputError as error:
            damaged.append(f"not in UA by condition: {error}")
            continue
        clean = run.result.metrics.get("test/ua")
        if found and clean is not None:
            found.setdefault(CLEAN, clean)
        for name, value in found.items():
            scores.setdefault(name, []).append(value)
    if not scores.keys() - {CLEAN}:
        return Conditions({}, tuple(damaged))
    return Conditions({n: _under(scores[n]) for n in in_order(list(scores))}, tuple(damaged))


def _scores(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """UA by condition, of evaluations of a run's own test part."""
    of_test = [one for one in evaluations if one.as_trained and one.condition is not None]
    found = {str(one.condition): one.metrics.get("test/ua") for one in of_test}
    return {name: value for name, value in found.items() if value is not None}


def _under(values: Sequence[float]) -> UnderCondition:
    return UnderCondition(
        fmean(values), stdev(values) if len(values) > 1 else None, n_runs=len(values)
    )


def mean_score(evaluations: Sequence[Evaluation], name: str) -> float | None:
    """The mean of a score (`ua`) over evaluations of whatever split; None where none has it."""
    values = [one.metrics.get(f"{one.split}/{name}") for one in evaluations]
    there = [value for value in values if value is not None]
    return fmean(there) if there else None
