"""UA by condition as text cells, for page, Markdown and terminal."""

from sermm.configuration.conditions import in_order
from sermm.report.tables.conditions import UnderCondition
from sermm.report.tables.grids import NOTHING, Grid, percent
from sermm.report.tables.tables import Table

_NOTE = (
    "UA mean ± sd over the runs that were evaluated so (sermm evaluate condition=...), with their "
    "number where others of the row were not. noise and babble: SNR in dB of the whole clip; band: "
    "nothing above so many Hz; asr: texts of a recogniser. Units of speech are those of the clean "
    "recording."
)


def condition_grids(table: Table) -> list[Grid]:
    """A grid of the rows that were evaluated under conditions; none where no row was."""
    names = in_order(list({name for one in table.conditions.values() for name in one.by_name}))
    if not names:
        return []
    shown = [r for r in table.rows if table.conditions[r.system].by_name]
    rows = tuple(
        (
            r.label,
            *(_cell(table.conditions[r.system].by_name.get(name), r.n_runs) for name in names),
        )
        for r in shown
    )
    floors = sum(r.floor for r in shown)
    return [Grid("UA by condition", _NOTE, ("model", *names), rows, floors)]


def _cell(found: UnderCondition | None, n_runs: int) -> str:
    if found is None:
        return NOTHING
    some = "" if found.n_runs == n_runs else f" ({found.n_runs} of {n_runs} runs)"
    return f"{percent(found.mean)} ± {percent(found.sd)}{some}"
