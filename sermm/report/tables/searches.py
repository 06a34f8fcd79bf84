"""What a search for settings has tried: validation only, a table for every corpus and protocol.

A trial's runs withhold their test part (`Result.withheld`), so nothing here can show it. Runs of
that kind that no search has asked for (`withhold_test=true` in a sweep) are a row a system.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, stdev

from sermm.core.figures import settled
from sermm.report.tables.checks import origin, stamps
from sermm.report.tables.setups import Ran
from sermm.runs.systems import FinishedRun, by_table, labels
from sermm.runs.trials import Search, Trial

_Place = tuple[str, str]


@dataclass(frozen=True)
class TrialRow:
    """A trial. Scores are fractions; None where it failed.

    Attributes:
        number: of the trial; None for runs that no search has asked for.
        settings: its words, those that were searched.
        by_fold: validation UA by fold, those of its runs that have finished; over several seeds the
            mean.
        mean: validation UA over its runs.
        sd: sample standard deviation over the runs; None for a single one.
        n_runs: how many runs it has.
        ran: what they were run with.
    """

    number: int | None
    settings: str
    by_fold: dict[int, float]
    mean: float | None
    sd: float | None
    n_runs: int
    ran: Ran


@dataclass(frozen=True)
class Step:
    """How far a search was after a trial.

    Attributes:
        number: of the trial.
        value: its own validation UA, a fraction.
        best: the best one so far.
    """

    number: int
    value: float
    best: float


@dataclass(frozen=True)
class SearchTable:
    """The trials under one protocol on one corpus.

    Attributes:
        rows: best first, failed ones last.
        steps: those that have a number and a value, in the order in which they were tried.
        chosen: the number of the best trial of the whole search, if it is one of these.
        command: trains what was chosen on all folds; empty where it is none of these.
        stamps: what must be read before any number.
        warnings: what makes rows less comparable than they look.
    """

    data: str
    protocol: str
    folds: tuple[int, ...]
    rows: tuple[TrialRow, ...]
    steps: tuple[Step, ...]
    chosen: int | None
    command: str
    stamps: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def best(self) -> TrialRow | None:
        """The row of what was chosen."""
        numbered = (row for row in self.rows if row.number is not None)
        return next((row for row in numbered if row.number == self.chosen), None)


def search_tables(runs: Sequence[FinishedRun], search: Search | None) -> tuple[SearchTable, ...]:
    """The tables of a study's trials; none without runs that withhold their test part.

    Args:
        runs: those of the study.
        search: its search; None: nobody has searched.
    """
    by_key = {run.folder.name: run for run in runs}
    places = list(dict.fromkeys(map(_place, runs)))
    trials: dict[_Place, list[tuple[TrialRow, list[FinishedRun]]]] = {one: [] for one in places}
    asked: set[str] = set()
    for trial in search.trials if search else ():
        own = [by_key[key] for key in dict.fromkeys(trial.runs) if key in by_key]
        asked |= set(trial.runs)
        # One that failed has no run that says where it belongs.
        for place in [_place(own[0])] if own else places[:1]:
            trials[place].append((_row(trial, own), own))
    for row, own in _unasked([run for run in runs if run.folder.name not in asked]):
        trials[_place(own[0])].append((row, own))
    return tuple(_table(place, found, search) for place, found in trials.items())


def _place(run: FinishedRun) -> _Place:
    return run.result.data, run.result.protocol


def _row(trial: Trial, runs: Sequence[FinishedRun]) -> TrialRow:
    """A trial with what its runs came to; if they were removed, what the search says of it."""
    row = _of_runs(trial.number, " ".join(trial.settings), runs)
    if trial.value is None:
        return replace(row, mean=None, sd=None)
    return row if row.mean is not None else replace(row, mean=trial.value)


def _of_runs(number: int | None, settings: str, runs: Sequence[FinishedRun]) -> TrialRow:
    known = [(run.result.fold, ua) for run in runs if (ua := run.result.val_ua) is not None]
    values = [ua for _, ua in known]
    folds = sorted({fold for fold, _ in known})
    return TrialRow(
        number=number,
        settings=settings,
        by_fold={fold: fmean(ua for of, ua in known if of == fold) for fold in folds},
        mean=fmean(values) if values else None,
        sd=stdev(values) if len(values) > 1 else None,
        n_runs=len(runs),
        ran=Ran.of([run.result for run in runs]),
    )


def _unasked(runs: Sequence[FinishedRun]) -> list[tuple[TrialRow, list[FinishedRun]]]:
    """A row a system."""
    found = []
    for systems in by_table(runs, twins=True).values():
        names = labels(systems)
        found += [(_of_runs(None, names[system], own), own) for system, own in systems.items()]
    return found


def _table(
    place: _Place, found: Sequence[tuple[TrialRow, list[FinishedRun]]], search: Search | None
) -> SearchTable:
    sign = search.sign if search else 1
    rows = [row for row, _ in found]
    results = [run.result for _, own in found for run in own]
    chosen = None if search is None else search.best
    here = chosen is not None and chosen in {row.number for row in rows}
    return SearchTable(
        data=place[0],
        protocol=place[1],
        folds=tuple(sorted({result.fold for result in results})),
        rows=tuple(sorted(rows, key=lambda row: _rank(row, sign))),
        steps=_steps(rows, sign),
        chosen=chosen if here else None,
        command=search.command if search and here else "",
        stamps=tuple(stamps(results[0].leaky, ())),
        warnings=tuple(origin(results)),
    )


def _rank(row: TrialRow, sign: int) -> tuple[bool, float, int]:
    """Best first; of equals the one that was tried first, which Optuna takes for the best too."""
    value = 0.0 if row.mean is None else -sign * settled(row.mean)
    return row.mean is None, value, -1 if row.number is None else row.number


def _steps(rows: Sequence[TrialRow], sign: int) -> tuple[Step, ...]:
    tried = {row.number: row.mean for row in rows if row.number is not None}
    steps: list[Step] = []
    for number in sorted(tried):
        if (value := tried[number]) is not None:
            best = max([value, *(one.best for one in steps[-1:])], key=lambda ua: sign * ua)
            steps.append(Step(number, value, best))
    return tuple(steps)


def trial_records(tables: Sequence[SearchTable]) -> list[Mapping[str, object]]:
    """One flat record a trial, best first, as `trials.csv` has it; scores are fractions."""
    return [
        {
            "trial": row.number,
            "settings": row.settings,
            "data": table.data,
            "protocol": table.protocol,
            "n_runs": row.n_runs,
            "val_ua_mean": row.mean,
            "val_ua_sd": row.sd,
            "chosen": row.number is not None and row.number == table.chosen,
            **{f"val_ua_fold_{fold}": row.by_fold.get(fold) for fold in table.folds},
        }
        for table in tables
        for row in table.rows
    ]


def search_json(table: SearchTable) -> dict[str, object]:
    """A table as JSON: its trials, the trajectory, what was chosen and the command."""
    return {
        "data": table.data,
        "protocol": table.protocol,
        "stamps": list(table.stamps),
        "warnings": list(table.warnings),
        "trials": trial_records([table]),
        "trajectory": [asdict(step) for step in table.steps],
        "chosen": table.chosen,
        "command": table.command or None,
    }
