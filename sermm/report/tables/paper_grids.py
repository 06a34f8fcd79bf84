"""Tables of papers as text cells, in the paper's own layout, with ours beside every figure.

A reader with the paper at hand finds its rows and columns in their order and under their names.
Each column becomes up to four:

    ours, PROTOCOL | paper | difference | ours, TWIN

The notes say what the figures are, of how many runs ours are, and why the two may not be compared;
they are made of the records, so none can be forgotten. A letter marks ours where it was not run as
the paper's was: a footnote says in what, and no difference is shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sermm.core.figures import rounded
from sermm.report.tables.comparisons import Comparison, Pair, Side
from sermm.report.tables.grids import NOTHING, Grid
from sermm.report.tables.marks import Marks, reason
from sermm.report.tables.measures import PAPER_METRICS
from sermm.report.tables.rows import Row
from sermm.report.tables.tables import Table
from sermm.runs.reading.paper_curves import PaperCurve
from sermm.runs.reading.papers import PaperCell, PaperTable


@dataclass(frozen=True)
class _Column:
    """A column of the paper, and which columns of ours it becomes.

    Attributes:
        compared: there is one for the difference.
        doubled: there is one for the honest twin of the paper's protocol.
    """

    name: str
    compared: bool
    doubled: bool

    @property
    def span(self) -> int:
        """How many columns it becomes."""
        return 2 + self.compared + self.doubled


def paper_grids(table: Table) -> list[Grid]:
    """A grid for every table of a paper; each column of the paper becomes three.

    Where the paper names an honest twin of its protocol, ours under that come fourth; where a
    difference says nothing, there is none. Rows and columns come in the order in which the cells
    name them first. Where several systems of ours are of one variant, the paper's row comes once
    for each of their settings.
    """
    return [_grid(comparison) for comparison in table.papers]


def _grid(comparison: Comparison) -> Grid:
    """The grid of one table; what belongs to a cell is a footnote, each text once."""
    paper = comparison.paper
    columns, marks = tuple(_columns(comparison)), Marks.of(comparison)
    return Grid(
        title=f"{paper.source}, {paper.title}",
        note=" ".join(_notes(comparison)),
        header=("row", *(name for column in columns for name in _header(comparison, column))),
        rows=tuple(_rows(comparison, columns, marks)),
        floors=0,
        groups=tuple(column.name for column in columns),
        spans=tuple(column.span for column in columns),
        footnotes=(
            *([paper.note] if paper.note else []),
            *marks.lines,
            *_machines(comparison),
        ),
    )


def _columns(comparison: Comparison) -> Iterable[_Column]:
    """The paper's columns in the order of its cells, and what each becomes."""
    cells = comparison.paper.cells
    for name in dict.fromkeys(cell.column for cell in cells):
        measures = [PAPER_METRICS[cell.metric] for cell in cells if cell.column == name]
        scores = any(measure.score for measure in measures)
        yield _Column(
            name,
            compared=any(measure.compared for measure in measures),
            doubled=comparison.twin is not None and scores,
        )


def _header(comparison: Comparison, column: _Column) -> Iterable[str]:
    """The names of what one column of the paper becomes; protocols only where there are two."""
    paper, twin = comparison.paper, comparison.twin
    yield f"ours, {comparison.side.protocol}" if column.doubled else "ours"
    yield "paper" if comparison.same_data else f"paper ({paper.data})"
    if column.compared:
        yield "difference"
    if twin and column.doubled:
        yield f"ours, {twin.protocol}"


def _notes(comparison: Comparison) -> Iterable[str]:
    """Sentences in the order in which a reader needs them."""
    paper, side = comparison.paper, comparison.side
    scores = any(pair.measure.score for pair in comparison.pairs)
    means = any(pair.measure.spreads for pair in comparison.pairs)
    spread = "; ours: mean ± sample sd over the runs" if means else ""
    yield f"{'; '.join(_kinds(paper))}{spread}."
    yield from _runs(comparison, scores)
    yield from unlike(paper, side.data, side.protocol)
    if scores and comparison.twin:
        yield from _leak(side, comparison.twin)
    elif scores and paper.twin and side.protocol == paper.protocol:
        yield f"{paper.twin}, its honest twin, has no runs here."


def _runs(comparison: Comparison, scores: bool) -> Iterable[str]:
    """How many runs ours are of, by protocol where there are two."""
    ours = _rows_of(pair.ours for pair in comparison.pairs)
    twins = _rows_of(pair.twin for pair in comparison.pairs) if scores else []
    for rows, side in ((ours, comparison.side), (twins, comparison.twin)):
        if rows and side and _equally_many(rows):
            yield f"{side.protocol}: {_how_many(rows)}" if twins else _how_many(rows)
    if scores and any(row.seed_sd for row in (*ours, *twins)):
        yield "After the slash: sd of the seeds' means, each the mean over the folds of a seed."


def _kinds(paper: PaperTable) -> Iterable[str]:
    """What the figures are: once for all columns where they are of one kind."""
    kinds: dict[str, list[str]] = {}
    for cell in paper.cells:
        kinds.setdefault(_text(cell), []).append(cell.column)
    if len(kinds) == 1:
        yield from kinds
    else:
        for text, columns in kinds.items():
            yield f"{', '.join(dict.fromkeys(columns))}: {text}"


def _text(cell: PaperCell) -> str:
    return PAPER_METRICS[cell.metric].text.format(pair=" and ".join(cell.pair))


def _leak(side: Side, twin: Side) -> Iterable[str]:
    """What the two protocols are."""
    if side.leaky:
        yield (
            f"{side.protocol}, the paper's protocol, is LEAKY: the same talkers, dialogues and "
            "scripted lines are in training and test."
        )
    yield f"{twin.protocol} is its honest twin" + (f": {twin.notes}" if twin.notes else ".")


def unlike(paper: PaperTable | PaperCurve, data: str, protocol: str) -> Iterable[str]:
    """Why a paper's figures are not to be judged by ours: another corpus, another protocol."""
    if data != paper.data:
        yield (
            f"The paper's figures are of another corpus ({paper.data}, ours is {data}): "
            "only the layout is compared."
        )
    if protocol != paper.protocol:
        yield (
            f"Two protocols, ours: {protocol}; the paper's: {paper.protocol}: no difference is "
            "shown."
        )


def _machines(comparison: Comparison) -> Iterable[str]:
    """Where the paper's figures are of another machine than ours, and which is ours."""
    uncompared = [pair for pair in comparison.pairs if not pair.measure.compared]
    if uncompared:
        rows = _rows_of(pair.ours for pair in uncompared)
        places = sorted({cost.where for row in rows for cost in row.costs})
        ours = f"; ours: {' and '.join(places)}" if places else ""
        several = any(len(row.costs) > 1 for row in rows)
        yield (
            f"Time and memory are of the machine: no difference to the paper's is shown{ours}."
            + (" Runs on several machines have no one figure; see Cost." if several else "")
        )


def _rows_of(rows: Iterable[Row | None]) -> list[Row]:
    return [row for row in rows if row is not None]


def _equally_many(filled: Sequence[Row]) -> bool:
    """Whether one sentence about the runs does for all rows; else each cell says its own number."""
    return len({row.n_runs for row in filled}) == 1


def _how_many(filled: Sequence[Row]) -> str:
    """Runs a row, as folds x seeds where that is what they are."""
    n = filled[0].n_runs
    each = f"{_counted(n, 'run')} each"
    shapes = {(row.n_folds, len(row.seeds)) for row in filled}
    folds, seeds = shapes.pop()
    if shapes or folds * seeds != n:
        return f"{each}."
    return f"{each}: {_counted(folds, 'fold')} x {_counted(seeds, 'seed')}."


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _rows(
    comparison: Comparison, columns: Sequence[_Column], marks: Marks
) -> Iterable[tuple[str, ...]]:
    """The lines of the grid; where the paper has no cell, ours stay empty too.

    Args:
        comparison: of the table.
        columns: of the paper.
        marks: of what stands below.
    """
    cells = {cell.place: cell for cell in comparison.paper.cells}
    pairs = {(pair.cell.place, pair.settings): pair for pair in comparison.pairs}
    tell_n = [
        not _equally_many(_rows_of(rows))
        for rows in ([p.ours for p in comparison.pairs], [p.twin for p in comparison.pairs])
    ]
    for name, settings in _row_names(comparison.pairs):
        row = [f"{name} {settings}".strip()]
        for column in columns:
            place = (name, column.name)
            if place in cells:
                pair = pairs.get((place, settings), Pair(cells[place], settings, None))
                row += _cells(comparison, column, pair, tell_n, marks)
            else:
                row += [""] * column.span
        yield tuple(row)


def _row_names(pairs: Iterable[Pair]) -> Iterable[tuple[str, str]]:
    """Each row of the paper with the settings of our systems in it; none where we have none."""
    settings: dict[str, set[str]] = {}
    for pair in pairs:
        there = pair.ours or pair.twin
        settings.setdefault(pair.cell.row, set()).update([pair.settings] if there else [])
    for name, of_row in settings.items():
        yield from ((name, one) for one in sorted(of_row or {""}))


def _cells(
    comparison: Comparison,
    column: _Column,
    pair: Pair,
    tell_n: Sequence[bool],
    marks: Marks,
) -> Iterable[str]:
    """The cells of one column of the paper in one row, as many as the column's span.

    Args:
        comparison: of the table.
        column: of the paper.
        pair: the paper's cell and ours.
        tell_n: whether ours must say their number of runs, under the protocol and under its twin.
        marks: of what stands below.
    """
    ours, twin = (marks.of_reason(reason(comparison, pair, twin)) for twin in (False, True))
    yield _ours(pair, pair.ours, tell_n[0]) + ours
    value = pair.cell.value
    printed = NOTHING if value is None else pair.measure.printed(value)
    yield marks.of_note(pair.cell.note) + printed
    if column.compared:
        yield _difference(comparison, pair)
    if column.doubled:
        yield _ours(pair, pair.twin, tell_n[1]) + twin if pair.measure.score else ""


def _ours(pair: Pair, row: Row | None, tell_n: bool) -> str:
    """Ours as `mean ± sd over the runs / sd of the seeds' means`, in the paper's unit."""
    found, measure = pair.figure(row), pair.measure
    if found is None or row is None:
        return NOTHING
    text = measure.written(found.mean, NOTHING)
    if measure.spreads and pair.cell.minus is None:
        text += f" ± {measure.written(found.sd, NOTHING)}"
    if found.seed_sd is not None:
        text += f" / {measure.written(found.seed_sd, NOTHING)}"
    return f"{text} (n = {row.n_runs})" if tell_n and measure.score else text


def _difference(comparison: Comparison, pair: Pair) -> str:
    """That of the two numbers beside it as they are shown, so that a reader can check it."""
    found, measure, value = pair.figure(pair.ours), pair.measure, pair.cell.value
    if found is None or value is None or comparison.difference(pair) is None:
        return NOTHING
    ours = rounded(found.mean, measure.decimals, measure.scale)
    return f"{ours - rounded(value, measure.decimals):+f}"
