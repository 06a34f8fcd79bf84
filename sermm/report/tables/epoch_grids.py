"""The last epoch against the one that validation chose, of systems scored with the last one."""

from collections.abc import Mapping

from sermm.core.figures import fixed
from sermm.report.tables.grids import NOTHING, Grid, percent
from sermm.report.tables.measures import metric_text
from sermm.report.tables.other_epochs import OtherEpochs
from sermm.report.tables.rows import Row
from sermm.report.tables.tables import Table

_METRICS = ("ua", "wa", "f1_macro")
NOTE = (
    "Test scores, mean ± sd over the runs, by the weights of two epochs of the same runs. All "
    "other tables have the last one (trainer.test_epoch=last). Epoch: mean of the runs."
)


def epoch_grids(table: Table) -> list[Grid]:
    """The grid of a table; none where no system of it has both epochs."""
    rows = [r for r in table.rows if r.system in table.other_epochs]
    if not rows:
        return []
    header = ("epoch", *(metric_text(name) for name in _METRICS))
    return [
        Grid(
            title="By epoch",
            note=NOTE,
            header=("model", *header, *header),
            rows=tuple((r.label, *_cells(r, table.other_epochs[r.system])) for r in rows),
            floors=0,
            groups=("last epoch", "epoch that validation chose"),
        )
    ]


def _cells(r: Row, other: OtherEpochs) -> tuple[str, ...]:
    some = "" if other.n_runs == r.n_runs else f" ({other.n_runs} of {r.n_runs} runs)"
    last = NOTHING if r.best_epoch is None else fixed(r.best_epoch, 1)
    return (
        last,
        *_scores(r.mean, r.sd),
        fixed(other.epoch, 1) + some,
        *_scores(other.mean, other.sd),
    )


def _scores(mean: Mapping[str, float], sd: Mapping[str, float | None]) -> tuple[str, ...]:
    return tuple(f"{percent(mean.get(name))} ± {percent(sd.get(name))}" for name in _METRICS)
