"""A table's numbers as text cells: made once, so that page, Markdown and terminal agree.

Percentages of ours have one decimal: a test fold of 1,000 utterances resolves no more. The order of
the grids is the order of the page.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sermm.core import figures
from sermm.metrics.scores import DRAWS
from sermm.report.tables.agreement import briefly, other_protocol, run_otherwise
from sermm.report.tables.measures import metric_text
from sermm.report.tables.rows import Part, Row
from sermm.report.tables.setups import shared
from sermm.report.tables.tables import Table
from sermm.runs.result import Published

FORMULAE = (
    "UA (unweighted accuracy) = mean over the classes of recall = correct of the class / "
    "utterances of the class. WA (weighted accuracy) = correct / all utterances.",
    "F1 of a class = 2 x correct / (utterances of the class + predictions of it). macro F1 = mean "
    "over the classes; weighted F1 = mean weighted by the utterances of the class. A class that "
    "the test part has no utterance of takes no part in a mean; one that is never predicted counts "
    "with 0.",
    "mean ± sd: over the runs (folds x seeds), sample standard deviation. pooled: from one "
    "confusion matrix over the test predictions of all folds, mean over the seeds.",
    f"95 %: percentile bootstrap of the pooled score, {DRAWS} draws of whole dialogues (of talkers "
    "where there are none). What another training of the same system would score is not in it.",
    "Scores are percentages.",
)
NOTHING = "–"
# characters: of a terminal, or a page in small print
WIDEST = 140


@dataclass(frozen=True)
class Grid:
    """A titled table of text; the first column names the row.

    Attributes:
        title: what it shows.
        note: how to read the numbers.
        header: a name for each column.
        rows: as many cells as the header has.
        floors: how many of the last rows are floors.
        prose: how many of the last columns are text, not numbers.
        groups: names that span the columns after the first.
        spans: how many columns each of `groups` has; if not given, all have equally many.
        footnotes: what stands below, a line each.
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    floors: int
    prose: int = 0
    groups: tuple[str, ...] = ()
    spans: tuple[int, ...] = ()
    footnotes: tuple[str, ...] = ()

    @property
    def one_header(self) -> tuple[str, ...]:
        """The header in one line: the first column of a group carries the group's name."""
        names = [""] * len(self.header)
        place = 1
        for name, span in self.grouped:
            names[place] = f"{name}: "
            place += span
        return tuple(group + name for group, name in zip(names, self.header, strict=True))

    @property
    def wide(self) -> bool:
        """Whether its groups are too many for a page in portrait."""
        columns = zip(self.header, *self.rows, strict=True)
        return bool(self.groups) and sum(max(map(len, column)) + 2 for column in columns) > WIDEST

    @property
    def grouped(self) -> tuple[tuple[str, int], ...]:
        """Each group with its number of columns."""
        each = (len(self.header) - 1) // max(len(self.groups), 1)
        spans = self.spans or (each,) * len(self.groups)
        return tuple(zip(self.groups, spans, strict=True))


def percent(value: float | None) -> str:
    """A fraction as a percentage with one decimal."""
    return NOTHING if value is None else figures.percent(value)


def points(value: float | None) -> str:
    """A fraction as a percentage with the two decimals that papers print."""
    return NOTHING if value is None else figures.percent(value, 2)


def grids(table: Table) -> list[Grid]:
    """All grids of a table, the main one first; parts by act and group where the runs have such."""
    found = [_main(table), setup_grid(table), _recall(table)]
    if any(r.acts for r in table.rows):
        found.append(_parts(table, "By act", lambda r: r.acts))
    if any(len(r.groups) > 1 for r in table.rows):
        found.append(_parts(table, "By group", lambda r: r.groups))
    return [*found, _cost(table), _training(table)]


def _grid(
    table: Table, title: str, note: str, header: Sequence[str], cells: Callable[[Row], list[str]]
) -> Grid:
    """A grid with a line for each row of the table.

    Args:
        table: its rows, floors last.
        title: of the grid.
        note: of the grid.
        header: of the columns after the first.
        cells: of a row, as many.
    """
    rows = tuple((_name(r), *cells(r)) for r in table.rows)
    floors = sum(r.floor for r in table.rows)
    return Grid(title, note, ("model", *header), rows, floors)


def _name(r: Row) -> str:
    return f"{r.label} (floor)" if r.floor else r.label


def _main(table: Table) -> Grid:
    """Mean and pooled scores with the headline's interval, and what papers state of the systems."""

    def cells(r: Row) -> list[str]:
        lacks = f" of {r.n_expected}" if r.n_runs < r.n_expected else ""
        found = [f"{r.n_runs}{lacks}"]
        for metric in ("ua", "wa"):
            found += [f"{percent(r.mean[metric])} ± {percent(r.sd[metric])}"]
            found += [percent(r.pooled[metric])]
        found += [_interval(table, r), percent(r.mean["f1_macro"]), percent(r.mean["f1_weighted"])]
        return [*found, *([_published(table, r)] if papers else [])]

    papers = any(_comparable(table, r) for r in table.rows)
    header = ["runs", "UA mean ± sd", "UA pooled", "WA mean ± sd", "WA pooled"]
    header += [f"95 % of {metric_text(table.headline)} pooled", "macro F1 mean", "weighted F1 mean"]
    units = " or ".join(sorted({r.unit for r in table.rows}))
    note = f"Headline: {metric_text(table.headline)}. Intervals: bootstrap by {units}."
    if papers:
        header.append("paper")
        note += (
            " A paper's figure is judged by our interval, which holds for the pooled score, where "
            "ours was run as the paper's."
        )
    return replace(_grid(table, "Scores", note, header, cells), prose=int(papers))


def _interval(table: Table, r: Row) -> str:
    if r.interval is None:
        return NOTHING
    low, high = r.interval[table.headline]
    return f"{percent(low)} to {percent(high)}"


def _published(table: Table, r: Row) -> str:
    return "; ".join(_figure(table, r, figure) for figure in _comparable(table, r)) or NOTHING


def _comparable(table: Table, r: Row) -> list[Published]:
    """A paper's figures on this corpus; those on another say nothing beside ours."""
    return [figure for figure in r.published if figure.data == table.data]


def _figure(table: Table, r: Row, figure: Published) -> str:
    """A paper's figure, where it comes from, and whether ours agrees.

    Judged, by our interval of the pooled score, only where it may be compared.
    """
    text = f"{figure.value} {metric_text(figure.metric)}, {figure.source}, {figure.protocol}"
    protocol = other_protocol(figure.protocol, table.protocol)
    if reasons := (*([protocol] if protocol else []), *run_otherwise(figure.setup, r)):
        text += f": not compared ({briefly(reasons)})"
    elif r.interval and figure.metric in r.interval:
        low, high = r.interval[figure.metric]
        value = figure.value / 100
        place = "below" if value < low else "above" if value > high else "within"
        text += f": {place} our interval"
    return f"{text} ({figure.note})" if figure.note else text


def setup_grid(table: Table) -> Grid:
    """What every row was run with; what all systems share is said once, in the note."""
    systems = [r for r in table.rows if not r.floor] or list(table.rows)
    same, differ = shared([r.ran for r in systems])

    def cells(r: Row) -> list[str]:
        sizes = (r.parameters.trainable, r.parameters.head, r.parameters.total)
        return [*map(_number, sizes), *(words(r.ran) or NOTHING for words in differ.values())]

    note = (
        "Parameters: those that were trained, of all but the encoders (head), and of the whole, "
        "encoders whose states are stored included."
    )
    if same:
        note += f" All systems: {'. '.join(same)}."
    header = ("trained", "head", "whole", *differ)
    return replace(_grid(table, "What was run", note, header, cells), prose=len(differ))


def _recall(table: Table) -> Grid:
    note = "Pooled: of the utterances of a class, the share that was recognised."
    return _grid(
        table,
        "Recall by class",
        note,
        table.classes,
        lambda r: [percent(r.recall[name]) for name in table.classes],
    )


def _parts(table: Table, title: str, parts: Callable[[Row], dict[str, Part]]) -> Grid:
    """Pooled UA and WA by act or group; names that are numbers by their size.

    A part's `n` is the largest that any system has, as some may lack folds.
    """
    names = sorted({name for r in table.rows for name in parts(r)}, key=_natural)
    sizes = {name: max(parts(r)[name].n for r in table.rows if name in parts(r)) for name in names}

    def cells(r: Row) -> list[str]:
        found = [parts(r).get(name) for name in names]
        return [f"{percent(p.ua)} / {percent(p.wa)}" if p else NOTHING for p in found]

    header = [f"{name} (n = {sizes[name]})" for name in names]
    return _grid(table, title, "Pooled UA / WA.", header, cells)


def _natural(name: str) -> str:
    return name.zfill(9) if name.isdigit() else name


def _cost(table: Table) -> Grid:
    """A line for each machine that a system was measured on."""
    note = (
        "Seconds of training: mean of the runs. Prediction of one test utterance at a time, from "
        "the batch in memory to the probabilities: median of the runs' medians; memory: the "
        "greatest peak of the runs, on a GPU what torch held, on a CPU the whole process."
    )
    header = ("model", "parameters", "trained", "training s", "ms per sample", "memory GB")
    rows = tuple((_name(r), *cells) for r in table.rows for cells in _cost_cells(r))
    floors = sum(max(len(r.costs), 1) for r in table.rows if r.floor)
    return Grid("Cost", note, (*header, "predicted on"), rows, floors, prose=1)


def _cost_cells(r: Row) -> Iterable[tuple[str, ...]]:
    sizes = (_number(r.parameters.total), _number(r.parameters.trainable))
    cells = (*sizes, _number(r.train_s))
    if not r.costs:
        yield (*cells, NOTHING, NOTHING, NOTHING)
    for cost in r.costs:
        some = "" if cost.n_runs == r.n_runs else f" ({cost.n_runs} of {r.n_runs} runs)"
        memory = NOTHING if cost.peak_memory_gb is None else figures.fixed(cost.peak_memory_gb, 2)
        yield (*cells, figures.fixed(cost.ms_per_sample, 1), memory, cost.where + some)


def _training(table: Table) -> Grid:
    def cells(r: Row) -> list[str]:
        return [
            NOTHING if r.best_epoch is None else figures.fixed(r.best_epoch, 1),
            ", ".join(r.selection),
            ", ".join(r.ran.text_sources) or NOTHING,
            ", ".join(map(str, r.seeds)),
        ]

    header = ["best epoch", "epoch by", "text", "seeds"]
    return _grid(table, "Runs", "Best epoch: mean of the runs.", header, cells)


def _number(value: float | int | None) -> str:
    return NOTHING if value is None else f"{figures.rounded(value, 0):,}"
