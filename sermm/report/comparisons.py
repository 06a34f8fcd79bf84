"""Our rows beside the cells of a paper's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sermm.report.papers import PaperCell, PaperTable, merged
from sermm.report.rows import Row
from sermm.report.systems import Systems, told_apart


@dataclass(frozen=True)
class Pair:
    """A cell of a paper and what we have for it.

    Attributes:
        settings: what tells our system from others of the same variant; empty if it is alone.
        ours: None where no run is of the cell's variant.
    """

    cell: PaperCell
    settings: str
    ours: Row | None


@dataclass(frozen=True)
class Comparison:
    """A table of a paper with ours, one pair a cell and a system of ours.

    Attributes:
        data: our corpus, and `protocol` our protocol; the paper's are in `paper`.
    """

    paper: PaperTable
    data: str
    protocol: str
    pairs: tuple[Pair, ...]

    @property
    def tells(self) -> bool:
        """Whether it is worth a place: on the paper's corpus, or with every system of the table.

        On another corpus only the layout is compared, which a table half empty does not show.
        """
        lacking = (pair.cell.system is not None and pair.ours is None for pair in self.pairs)
        return self.data == self.paper.data or not any(lacking)

    def difference(self, pair: Pair) -> float | None:
        """Ours less the paper's, as a fraction; None without runs or on another corpus."""
        if pair.ours is None or self.data != self.paper.data:
            return None
        return pair.ours.mean[self.paper.metric] - pair.cell.value / 100


def comparisons(systems: Systems, rows: Sequence[Row]) -> tuple[Comparison, ...]:
    """The tables of papers that the runs of one table bring along, each with our rows."""
    firsts = [runs[0].result for runs in systems.values()]
    papers = merged(PaperTable.of(found) for first in firsts for found in first.papers)
    ours = _by_variant(systems, rows)
    found = (
        Comparison(paper, firsts[0].data, firsts[0].protocol, _pairs(paper, ours))
        for paper in papers
    )
    return tuple(one for one in found if one.tells)


def _by_variant(systems: Systems, rows: Sequence[Row]) -> dict[str | None, dict[str, Row]]:
    apart = told_apart(systems, lambda result: result.variant)
    by_system = {row.system: row for row in rows}
    found: dict[str | None, dict[str, Row]] = {}
    for system, runs in systems.items():
        found.setdefault(runs[0].result.variant, {})[apart[system]] = by_system[system]
    return found


def _pairs(paper: PaperTable, ours: Mapping[str | None, Mapping[str, Row]]) -> tuple[Pair, ...]:
    nothing: Mapping[str, Row | None] = {"": None}
    return tuple(
        Pair(cell, settings, row)
        for cell in paper.cells
        for settings, row in sorted(ours.get(cell.system, nothing).items())
    )


def plain(comparison: Comparison) -> list[dict[str, object]]:
    """One record a pair, for JSON; figures, the paper's too, are fractions.

    `system` is the variant, `model` the name of our row; without runs what is ours is None.
    """
    return [_record(comparison, pair) for pair in comparison.pairs]


def _record(comparison: Comparison, pair: Pair) -> dict[str, object]:
    paper, ours = comparison.paper, pair.ours
    return {
        "source": paper.source,
        "title": paper.title,
        "metric": paper.metric,
        "data": paper.data,
        "protocol": paper.protocol,
        "row": pair.cell.row,
        "column": pair.cell.column,
        "system": pair.cell.system,
        "model": ours.label if ours else None,
        "paper": pair.cell.value / 100,
        "ours_mean": ours.mean[paper.metric] if ours else None,
        "ours_sd": ours.sd[paper.metric] if ours else None,
        "seed_sd": ours.seed_sd[paper.metric] if ours and ours.seed_sd else None,
        "n_runs": ours.n_runs if ours else 0,
        "difference": comparison.difference(pair),
    }
