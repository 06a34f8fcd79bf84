"""Tables of papers as text cells, in the paper's own layout, with ours beside every figure."""

from collections.abc import Iterable, Sequence

from sermm.report.comparisons import Comparison, Pair
from sermm.report.grids import NOTHING, Grid, metric_text, points
from sermm.report.paper_curves import PaperCurve
from sermm.report.papers import PaperTable
from sermm.report.rows import Row
from sermm.report.tables import Table


def paper_grids(table: Table) -> list[Grid]:
    """A grid for every table of a paper; each column of the paper becomes three.

    Rows and columns come in the order in which the cells name them first. Where several systems
    of ours are of one variant, the paper's row comes once for each of their settings.
    """
    return [_grid(comparison) for comparison in table.papers]


def _grid(comparison: Comparison) -> Grid:
    paper = comparison.paper
    columns = tuple(dict.fromkeys(cell.column for cell in paper.cells))
    same_data = comparison.data == paper.data
    triple = ("ours", "paper" if same_data else f"paper ({paper.data})", "difference")
    filled = [pair.ours for pair in comparison.pairs if pair.ours]
    footnotes = tuple(dict.fromkeys(cell.note for cell in paper.cells if cell.note))
    return Grid(
        title=f"{paper.source}, {paper.title}",
        note=" ".join(_notes(comparison, filled)),
        header=("row", *(triple * len(columns))),
        rows=tuple(_rows(comparison, columns, footnotes, filled)),
        floors=0,
        groups=columns,
        footnotes=(
            *([paper.note] if paper.note else []),
            *(f"[{number}] {note}" for number, note in enumerate(footnotes, 1)),
        ),
    )


def _notes(comparison: Comparison, filled: Sequence[Row]) -> Iterable[str]:
    paper = comparison.paper
    yield f"{metric_text(paper.metric)} in percent; ours: mean ± sample sd over the runs."
    if filled and _equally_many(filled):
        yield _how_many(filled)
    if any(row.seed_sd for row in filled):
        yield "After the slash: sd of the seeds' means, each the mean over the folds of a seed."
    yield from unlike(paper, comparison.data, comparison.protocol)


def unlike(paper: PaperTable | PaperCurve, data: str, protocol: str) -> Iterable[str]:
    """Why a paper's figures are not to be judged by ours: another corpus, another protocol."""
    if data != paper.data:
        yield (
            f"The paper's figures are of another corpus ({paper.data}, ours is {data}): "
            "only the layout is compared."
        )
    if protocol != paper.protocol:
        yield f"Two protocols, ours: {protocol}; the paper's: {paper.protocol}."


def _equally_many(filled: Sequence[Row]) -> bool:
    return len({row.n_runs for row in filled}) == 1


def _how_many(filled: Sequence[Row]) -> str:
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
    comparison: Comparison, columns: Sequence[str], footnotes: Sequence[str], filled: Sequence[Row]
) -> Iterable[tuple[str, ...]]:
    cells = {cell.place: cell for cell in comparison.paper.cells}
    ours = {(pair.cell.place, pair.settings): pair for pair in comparison.pairs}
    tell_n = not _equally_many(filled)
    for name, settings in _row_names(comparison.pairs):
        row = [f"{name} {settings}".strip()]
        for place in ((name, column) for column in columns):
            if place not in cells:
                row += ["", "", ""]
                continue
            nothing = Pair(cells[place], settings, None)
            pair = ours.get((place, settings), nothing)
            row += [_ours(comparison, pair, tell_n), _papers(pair, footnotes)]
            row += [_difference(comparison, pair)]
        yield tuple(row)


def _row_names(pairs: Iterable[Pair]) -> Iterable[tuple[str, str]]:
    """Each row of the paper with the settings of our systems in it; none where we have none."""
    settings: dict[str, set[str]] = {}
    for pair in pairs:
        settings.setdefault(pair.cell.row, set()).update([pair.settings] if pair.ours else [])
    for name, told in settings.items():
        yield from ((name, one) for one in sorted(told or {""}))


def _ours(comparison: Comparison, pair: Pair, tell_n: bool) -> str:
    row, metric = pair.ours, comparison.paper.metric
    if row is None:
        return NOTHING
    said = f"{points(row.mean[metric])} ± {points(row.sd[metric])}"
    if row.seed_sd:
        said += f" / {points(row.seed_sd[metric])}"
    return f"{said} (n = {row.n_runs})" if tell_n else said


def _papers(pair: Pair, footnotes: Sequence[str]) -> str:
    note = pair.cell.note
    mark = f"[{footnotes.index(note) + 1}] " if note else ""
    return f"{mark}{pair.cell.value:.2f}"


def _difference(comparison: Comparison, pair: Pair) -> str:
    """That of the two numbers beside it as they are shown, so that a reader can check it."""
    if pair.ours is None or comparison.difference(pair) is None:
        return NOTHING
    ours = round(100 * pair.ours.mean[comparison.paper.metric], 2)
    # adding 0 makes 0.00 of -0.00
    return f"{round(ours - round(pair.cell.value, 2), 2) + 0.0:+.2f}"
