"""The numbers of a search as text cells, for page, Markdown and terminal."""

from collections.abc import Mapping

from sermm.report.tables.grids import FORMULAE, NOTHING, Grid, percent
from sermm.report.tables.searches import SearchTable, Step, TrialRow
from sermm.report.tables.setups import Ran, Words, shared

# More columns of folds than these fit on no page.
_MOST_FOLDS = 10
SEARCH_FORMULAE = (
    FORMULAE[0],
    "Of a search: percentages of the validation parts; mean ± sd over the folds of a trial, sample "
    "standard deviation.",
)


def search_grids(table: SearchTable) -> list[Grid]:
    """The trials, best first, and the trials after which the best was another one."""
    return [_trials(table), *([_trajectory(table)] if table.steps else [])]


def _trials(table: SearchTable) -> Grid:
    folds = table.folds if len(table.folds) <= _MOST_FOLDS else ()
    same, differ = shared([row.ran for row in table.rows if row.n_runs] or [Ran()])
    # what a search varies are its settings, which have a column
    encoders = {name: words for name, words in differ.items() if name in ("speech", "text")}
    note = "Best first, by validation UA: the mean over the folds of the trial."
    if same:
        note += f" All trials: {'. '.join(same)}."
    header = ("trial", "runs", "val UA mean ± sd", *(f"fold {n}" for n in folds))
    return Grid(
        title="Trials",
        note=note,
        header=(*header, *encoders, "settings"),
        rows=tuple(_cells(row, folds, encoders) for row in table.rows),
        floors=0,
        prose=1 + len(encoders),
    )


def _cells(row: TrialRow, folds: tuple[int, ...], encoders: Mapping[str, Words]) -> tuple[str, ...]:
    return (
        NOTHING if row.number is None else str(row.number),
        str(row.n_runs),
        "failed" if row.mean is None else mean_sd(row),
        *(percent(row.by_fold.get(fold)) for fold in folds),
        *(words(row.ran) or NOTHING for words in encoders.values()),
        row.settings,
    )


def mean_sd(row: TrialRow) -> str:
    """Validation UA and its spread over the runs."""
    return f"{percent(row.mean)} ± {percent(row.sd)}"


def _trajectory(table: SearchTable) -> Grid:
    """The steps at which the best changed, and the last one."""
    first, *rest = table.steps
    before = dict(zip(rest, table.steps, strict=False))
    shown = [first, *(one for one in rest if one.best != before[one].best or one is rest[-1])]
    return Grid(
        title="Best so far",
        note="The trials after which another one was the best, and the last one.",
        header=("after trial", "its val UA", "best val UA"),
        rows=tuple(_step(one) for one in shown),
        floors=0,
    )


def _step(step: Step) -> tuple[str, ...]:
    return str(step.number), percent(step.value), percent(step.best)


def chosen_line(table: SearchTable) -> str:
    """What was chosen, in a line; empty where it is in no row of the table."""
    if (row := table.best) is None:
        return ""
    folds = ", ".join(map(str, row.by_fold))
    over = f" over fold{'' if len(row.by_fold) == 1 else 's'} {folds}" if folds else ""
    return f"chosen: trial {row.number}, validation UA {mean_sd(row)}{over}: {row.settings}"
