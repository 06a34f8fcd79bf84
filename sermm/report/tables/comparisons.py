"""Our rows beside the cells of a paper's table.

A cell names a system by its variant (the model and its streams). Runs bring along the tables that
they stand in; here each cell is paired with every row of ours of that variant, and with none if it
was not run. Rows of one variant that differ in settings make several pairs of the same cell.

A table of a leaky protocol names an honest twin. Where both were run, one comparison has both: the
paper's own protocol is its `side`, the honest one its `twin`, and the twin's own table is not shown
a second time. No pair holds figures of two protocols as if they were one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sermm.core.digest import digest
from sermm.report.tables.agreement import other_protocol, run_otherwise
from sermm.report.tables.measures import PAPER_METRICS, Figure, Metric
from sermm.report.tables.rows import Row
from sermm.runs.reading.papers import PaperCell, PaperTable, merged
from sermm.runs.reading.runs import Run
from sermm.runs.systems import Systems, told_apart


@dataclass(frozen=True)
class Pair:
    """A cell of a paper and what we have for it.

    Attributes:
        settings: what tells our system from others of the same variant; empty if it is alone.
        ours: None where no run is of the cell's variant.
        twin: the same system under the table's honest protocol.
        less: where the cell is a gain, the system that it is the gain over, likewise twice.
    """

    cell: PaperCell
    settings: str
    ours: Row | None
    twin: Row | None = None
    less: tuple[Row | None, Row | None] = (None, None)

    @property
    def measure(self) -> Metric:
        """What the cell's figure is."""
        return PAPER_METRICS[self.cell.metric]

    def figure(self, row: Row | None) -> Figure | None:
        """That of `ours` or `twin`; None without runs, or where they do not have it.

        A gain is the difference of two means over the same folds and seeds, and has no deviation.
        """
        found = None if row is None else self.measure.ours(row, self.cell.pair)
        if self.cell.minus is None:
            return found
        less = self.less[0] if row is self.ours else self.less[1]
        if row is None or less is None or _shape(row) != _shape(less):
            return None
        base = self.measure.ours(less, self.cell.pair)
        return None if found is None or base is None else Figure(found.mean - base.mean)


@dataclass(frozen=True)
class Asked:
    """Which papers stand beside runs on another corpus than theirs: those that were asked for.

    Attributes:
        experiments: that runs were made for, `zhao2022/table2`.
        all: every paper that has a figure for one of the systems.
    """

    experiments: frozenset[str] = frozenset()
    all: bool = False

    def names(self, source: str) -> bool:
        """Whether a paper was asked for."""
        paper = source.lower().replace(" ", "")
        return self.all or any(name.partition("/")[0] == paper for name in self.experiments)


@dataclass(frozen=True, eq=False)
class Side:
    """All systems under one protocol on one corpus.

    Attributes:
        notes: what the protocol is, in words.
    """

    data: str
    protocol: str
    notes: str
    leaky: bool
    systems: Systems[Run]
    rows: Sequence[Row]
    asked: Asked

    def shows(self, source: str, data: str) -> bool:
        """Whether figures of a paper may stand beside its rows: the corpus is theirs, or asked."""
        return self.data == data or self.asked.names(source)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A table of a paper with ours, one pair a cell and a system of ours.

    Attributes:
        side: ours; its corpus and protocol need not be the paper's.
        twin: ours under the honest protocol that the paper's table names; None on that side
            itself, for a table that names none, and where it was not run.
    """

    paper: PaperTable
    side: Side
    twin: Side | None
    pairs: tuple[Pair, ...]

    @property
    def same_data(self) -> bool:
        """Whether ours are of the paper's corpus."""
        return self.side.data == self.paper.data

    @property
    def tells(self) -> bool:
        """Whether it is worth a place: on the paper's corpus, or where it was asked for.

        On another corpus only the layout is compared, which a table half empty does not show. A
        table that names a twin is compared under its own protocol and that one only.
        """
        paper = self.paper
        if paper.twin and self.side.protocol not in (paper.protocol, paper.twin):
            return False
        if not self.side.shows(paper.source, paper.data):
            return False
        lacking = (pair.cell.system is not None and pair.ours is None for pair in self.pairs)
        return self.same_data or self.side.asked.all or not any(lacking)

    def difference(self, pair: Pair) -> float | None:
        """Ours less the paper's in our unit; None without ours, or where it says nothing."""
        found = pair.figure(pair.ours)
        value = pair.cell.value
        if found is None or value is None or not (self.same_data and pair.measure.compared):
            return None
        if other_protocol(pair.cell.protocol, self.side.protocol) or self.otherwise(pair):
            return None
        return found.mean - value / pair.measure.scale

    def otherwise(self, pair: Pair, twin: bool = False) -> tuple[str, ...]:
        """In what ours, or its twin, was not run as the paper's; empty without runs."""
        row = pair.twin if twin else pair.ours
        if row is None or pair.figure(row) is None:
            return ()
        of_gain = pair.less[twin]
        rows = [row] if of_gain is None else [row, of_gain]
        found = (run_otherwise(self.paper.setup, one, pair.measure.score) for one in rows)
        return tuple(dict.fromkeys(reason for reasons in found for reason in reasons))


def comparisons(side: Side, others: Iterable[Side]) -> tuple[Comparison, ...]:
    """The tables of papers that the runs of one table bring along, each with our rows.

    Args:
        side: ours.
        others: of the same corpus and classes; where one of them shows a table with this side as
            its twin, the table is not repeated.

    Returns:
        Those that are worth a place, by title.
    """
    by_protocol = {other.protocol: other for other in others}
    found = []
    for paper in _papers(side):
        if _shown_as_twin(paper, side, by_protocol):
            continue
        of_paper = side.protocol == paper.protocol
        twin = by_protocol.get(paper.twin) if paper.twin and of_paper else None
        found.append(_comparison(paper, side, twin))
    return tuple(one for one in found if one.tells)


def _papers(side: Side) -> tuple[PaperTable, ...]:
    """The tables that one run of each system brings; its other runs bring the same."""
    firsts = [runs[0].result for runs in side.systems.values()]
    return merged(PaperTable.of(found) for first in firsts for found in first.papers)


def _shown_as_twin(paper: PaperTable, side: Side, others: Mapping[str, Side]) -> bool:
    """Whether the side of the paper's own protocol shows the table, and this side beside it."""
    of_paper = others.get(paper.protocol)
    if of_paper is None or side.protocol != paper.twin:
        return False
    theirs = [one for one in _papers(of_paper) if _name(one) == _name(paper)]
    return any(_comparison(one, of_paper, side).tells for one in theirs)


def _name(paper: PaperTable) -> tuple[str, ...]:
    """What makes two records the same table; cells and notes may differ from commit to commit."""
    return paper.source, paper.title, paper.metric, paper.protocol, paper.data


def _comparison(paper: PaperTable, side: Side, twin: Side | None) -> Comparison:
    """Every cell with our rows of its variant, by their settings; with none if there is none."""
    ours = _by_variant(side, twin)
    nothing: Mapping[str, tuple[Row | None, Row | None]] = {"": (None, None)}
    pairs = (
        Pair(cell, settings, *rows, less=_alone(ours, cell.minus))
        for cell in paper.cells
        for settings, rows in sorted(
            (ours.get(cell.system) or nothing).items(), key=lambda item: item[0]
        )
    )
    return Comparison(paper, side, twin, tuple(pairs))


_Both = tuple[Row | None, Row | None]


def _alone(ours: Mapping[str | None, Mapping[str, _Both]], variant: str | None) -> _Both:
    """The rows of a variant that only one system of ours has: over which of several is not said."""
    of_variant = [] if variant is None else [*ours.get(variant, {}).values()]
    return of_variant[0] if len(of_variant) == 1 else (None, None)


def _shape(row: Row) -> tuple[int, int, tuple[int, ...]]:
    """Which runs a row is of."""
    return row.n_runs, row.n_folds, tuple(row.seeds)


def _by_variant(side: Side, twin: Side | None) -> dict[str | None, dict[str, _Both]]:
    """Our rows and their twins by variant, then by what tells them from others of the variant."""
    systems, both = _beside(side, twin)
    apart = told_apart(systems, lambda result: result.variant)
    found: dict[str | None, dict[str, _Both]] = {}
    for system, runs in systems.items():
        found.setdefault(runs[0].result.variant, {})[apart[system]] = both[system]
    return found


def _beside(side: Side, twin: Side | None) -> tuple[Systems[Run], dict[str, _Both]]:
    """The systems of both sides, each once, with its rows; those of the same settings are one.

    The protocol is part of a system's digest, so the same system has another one on each side. They
    are matched by variant and settings, and only where that is unambiguous on both sides: else each
    keeps a row of its own.
    """
    systems = dict(side.systems)
    both: dict[str, _Both] = {row.system: (row, None) for row in side.rows}
    if twin is None:
        return systems, both
    partners = {kind: alone for kind, (alone, *more) in _kinds(side).items() if not more}
    twins = _kinds(twin)
    for row in twin.rows:
        kind = _kind(twin.systems, row.system)
        if kind in partners and len(twins[kind]) == 1:
            both[partners[kind]] = (both[partners[kind]][0], row)
        else:
            systems[row.system], both[row.system] = twin.systems[row.system], (None, row)
    return systems, both


def _kinds(side: Side) -> dict[str, list[str]]:
    """Systems by what makes them the same under two protocols."""
    found: dict[str, list[str]] = {}
    for system in side.systems:
        found.setdefault(_kind(side.systems, system), []).append(system)
    return found


def _kind(systems: Systems[Run], system: str) -> str:
    first = systems[system][0].result
    return digest([first.variant, first.settings])


def cell_records(comparison: Comparison) -> list[dict[str, object]]:
    """One record a pair, for JSON.

    Scores, the paper's too, are fractions; parameters are counted, time is in milliseconds, memory
    in GB. `system` is the variant, `model` the name of our row; without runs what is ours is None.
    What begins with `twin` is there only where a second protocol stands beside.

    Args:
        comparison: its pairs in order.
    """
    return [_record(comparison, pair) for pair in comparison.pairs]


def _record(comparison: Comparison, pair: Pair) -> dict[str, object]:
    paper, cell = comparison.paper, pair.cell
    record = {
        "source": paper.source,
        "title": paper.title,
        "metric": cell.metric,
        "data": paper.data,
        "protocol": cell.protocol,
        "row": cell.row,
        "column": cell.column,
        "system": cell.system,
        "model": pair.ours.label if pair.ours else None,
        "paper": None if cell.value is None else cell.value / pair.measure.scale,
        **_ours(pair, pair.ours, "ours_mean", "ours_sd", "seed_sd", "n_runs"),
        "difference": comparison.difference(pair),
        "run_otherwise": list(comparison.otherwise(pair)),
    }
    if cell.minus:
        record["minus"] = cell.minus
    if cell.pair:
        record["pair"] = list(cell.pair)
    if comparison.twin and pair.measure.score:
        record["twin"] = comparison.twin.protocol
        record |= _ours(pair, pair.twin, "twin_mean", "twin_sd", "twin_seed_sd", "twin_n_runs")
    return record


def _ours(pair: Pair, row: Row | None, *names: str) -> dict[str, object]:
    """Mean, deviations and number of runs of a row under the given names; None, 0 without runs."""
    found = pair.figure(row) or (None, None, None)
    return dict(zip(names, (*found, row.n_runs if row else 0), strict=True))
