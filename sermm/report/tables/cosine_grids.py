"""How alike the branches of co-attention systems are, as text cells."""

from sermm.core.figures import fixed
from sermm.report.tables.grids import NOTHING, Grid
from sermm.report.tables.learning_curves import Spread
from sermm.report.tables.tables import Table

_NOTE = (
    "Cosine of the means of text and of the speech stream after their last co-attention layer, "
    "validation part, chosen epoch: mean of the runs (least to greatest). 1 = the same but for "
    "length; Zhao 2022 finds them almost identical."
)


def cosine_grids(table: Table) -> list[Grid]:
    """A grid of the systems that are shown and measured it; none where none did."""
    found = {c.row.label: c.cosines for c in table.curves.values() if c.cosines}
    if not found:
        return []
    streams = tuple(dict.fromkeys(name for cosines in found.values() for name in cosines))
    rows = tuple(
        (label, *(_cell(cosines.get(name)) for name in streams)) for label, cosines in found.items()
    )
    return [Grid("Likeness of co-attention branches", _NOTE, ("model", *streams), rows, 0)]


def _cell(found: Spread | None) -> str:
    if found is None:
        return NOTHING
    return f"{fixed(found.mean, 3)} ({fixed(found.low, 3)} to {fixed(found.high, 3)})"
