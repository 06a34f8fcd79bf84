"""A report as text: for the terminal, and as Markdown.

`table_text` is what `sermm report` prints, `markdown` the whole of it as `tables.md`, `inserted`
the main tables in a page that somebody wrote. All say the same of an incomplete study, and first.
"""

from collections.abc import Collection, Sequence

from sermm.core.errors import InputError
from sermm.report.tables.condition_grids import condition_grids
from sermm.report.tables.cosine_grids import cosine_grids
from sermm.report.tables.curve_grids import curve_grids
from sermm.report.tables.epoch_grids import epoch_grids
from sermm.report.tables.grids import FORMULAE, WIDEST, Grid, grids, setup_grid
from sermm.report.tables.paper_grids import paper_grids
from sermm.report.tables.search_grids import SEARCH_FORMULAE, chosen_line, search_grids
from sermm.report.tables.searches import SearchTable
from sermm.report.tables.tables import Report, Table


def table_text(report: Report) -> str:
    """The papers' tables, the main table of every protocol and what was run, for a terminal.

    The rest (recall, parts, cost) is on the page and in `tables.md`: a screen should do.
    """
    lines = [*_open_ends(report, "")]
    for table in report.tables:
        lines += ["", title(table)]
        lines += [f"!! {stamp}" for stamp in table.stamps]
        papers, main = paper_grids(table), grids(table)[0]
        for grid in papers:
            lines += [grid.title, *_aligned(grid), grid.note, *grid.footnotes, ""]
        lines += [main.title] if papers else []
        further = [*epoch_grids(table), setup_grid(table), *condition_grids(table)]
        lines += _aligned(main)
        for grid in further:
            lines += ["", grid.title, *_aligned(grid), grid.note]
        lines += [f"warning: {warning}" for warning in table.warnings]
    for search in report.searches:
        lines += ["", search_title(search), *(f"!! {stamp}" for stamp in search.stamps)]
        for grid in search_grids(search):
            lines += [*_aligned(grid), grid.note, ""]
        lines += [f"warning: {warning}" for warning in search.warnings]
        lines += chosen(search)
    return "\n".join([*lines, "", *formulae(report)]).strip() + "\n"


def markdown(report: Report) -> str:
    """The whole report as Markdown, for `tables.md`."""
    lines = [f"# {_escaped(report.study)}", "", *_open_ends(report, "- ")]
    for table in report.tables:
        lines += ["", f"## {_escaped(title(table))}", ""]
        lines += [f"**{_escaped(stamp)}**\n" for stamp in table.stamps]
        lines += [f"{_escaped(table.notes)}\n"] if table.notes else []
        lines += [f"- Warning: {_escaped(warning)}" for warning in table.warnings]
        for grid in every_grid(table):
            lines += ["", f"### {_escaped(grid.title)}", "", *_piped(grid), "", *_below(grid)]
        lines += ["", *(f"- {_escaped(note)}" for note in row_notes(table))]
    for search in report.searches:
        lines += ["", f"## {_escaped(search_title(search))}", "", *_searched(search, "### ")]
    return "\n".join([*lines, "", *(f"- {formula}" for formula in formulae(report))]) + "\n"


def main_tables(report: Report) -> str:
    """The papers' tables, the main table of every protocol and what was run, as Markdown."""
    lines = [*_open_ends(report, "- ")]
    for table in report.tables:
        lines += ["", f"{_escaped(title(table))}:", ""]
        lines += [f"**{_escaped(stamp)}**\n" for stamp in table.stamps]
        papers, main = paper_grids(table), grids(table)[0]
        for grid in papers:
            lines += [f"{_escaped(grid.title)}:", "", *_piped(grid), "", *_below(grid), ""]
        lines += [f"{main.title}:", ""] if papers else []
        further = [*epoch_grids(table), setup_grid(table), *condition_grids(table)]
        lines += _piped(main)
        for grid in further:
            lines += ["", f"{grid.title}:", "", *_piped(grid), "", *_below(grid)]
    for search in report.searches:
        lines += ["", f"{_escaped(search_title(search))}:", "", *_searched(search, "")]
    return "\n".join(lines).strip()


def _searched(search: SearchTable, heading: str) -> list[str]:
    """A search as Markdown, its command as code."""
    lines = [f"**{_escaped(stamp)}**\n" for stamp in search.stamps]
    lines += [f"- Warning: {_escaped(warning)}" for warning in search.warnings]
    for grid in search_grids(search):
        lines += ["", f"{heading}{grid.title}{'' if heading else ':'}", "", *_piped(grid), ""]
        lines += _below(grid)
    what, *how = chosen(search) or [""]
    lines += ["", _escaped(what)] if what else []
    return [*lines, *(["", "```", how[-1].strip(), "```"] if how else [])]


def chosen(search: SearchTable) -> list[str]:
    """What was chosen, and the command that goes on from it; nothing where that is unknown."""
    found = chosen_line(search)
    further = ["to train it on all folds:", f"  {search.command}"] if search.command else []
    return [found, *further] if found else []


def formulae(report: Report) -> tuple[str, ...]:
    """How to read the numbers that there are."""
    found = [*(FORMULAE if report.tables else ()), *(SEARCH_FORMULAE if report.searches else ())]
    return tuple(dict.fromkeys(found))


def search_title(search: SearchTable) -> str:
    """Names a search by its corpus and protocol."""
    folds = ", ".join(map(str, search.folds))
    return (
        f"{search.data}, protocol {search.protocol}, fold{'' if len(search.folds) == 1 else 's'} "
        f"{folds}: search by validation UA"
    )


def inserted(page: str, report: Report) -> str:
    """A Markdown page with the papers' and the main tables between its marks for this study.

    What stands around the marks, and the marks themselves, stay, so it can be done again.

    Args:
        page: text of the page, with `<!-- sermm report STUDY -->` and `<!-- end -->`.
        report: of that study.

    Raises:
        InputError: the page has no such marks.
    """
    first, last = f"<!-- sermm report {report.study} -->", "<!-- end -->"
    before, found, rest = page.partition(first)
    _, closed, after = rest.partition(last)
    if not (found and closed):
        raise InputError(f"the page has no lines {first} and {last} to put the tables between")
    return f"{before}{first}\n{main_tables(report)}\n{last}{after}"


def every_grid(table: Table) -> list[Grid]:
    """All grids of a table: papers' tables, ours, two epochs, and what papers print by epoch."""
    further = [*condition_grids(table), *cosine_grids(table), *curve_grids(table)]
    return [*paper_grids(table), *grids(table), *epoch_grids(table), *further]


def title(table: Table) -> str:
    """Names a table by its corpus and protocol."""
    return f"{table.data}, protocol {table.protocol}"


def row_notes(table: Table) -> list[str]:
    """The notes of the rows, each said once with the rows that it belongs to."""
    by_note: dict[str, list[str]] = {}
    for row in table.rows:
        for note in row.notes:
            by_note.setdefault(note, []).append(row.label)
    return [f"{', '.join(labels)}: {note}" for note, labels in by_note.items()]


def open_ends(report: Report) -> list[str]:
    """What is missing from the report, one sentence each."""
    return [*report.missing, *(f"{p.where}: {p.what}" for p in report.problems)]


def _open_ends(report: Report, mark: str) -> list[str]:
    lines = [f"{mark}{_escaped(line) if mark else line}" for line in open_ends(report)]
    return [f"INCOMPLETE STUDY {report.study}:", "", *lines] if lines else []


def _aligned(grid: Grid) -> list[str]:
    """Columns as wide as their longest cell; numbers flush right, text flush left.

    Groups of columns that do not fit beside one another follow below, the rows' names again.
    """
    rows = [grid.one_header, *grid.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = {0, *range(len(widths) - grid.prose, len(widths))}
    lines: list[str] = []
    for places in _blocks(grid, widths):
        lines += [""] if lines else []
        for row in rows:
            cells = _justified(row, widths, text)
            lines.append("  ".join(cells[place] for place in places).rstrip())
    return lines


def _blocks(grid: Grid, widths: Sequence[int]) -> list[list[int]]:
    """Columns that stand beside one another, the first always; all, where there are no groups.

    Args:
        grid: its groups are never torn apart.
        widths: characters of each column.

    Returns:
        Numbers of columns, a list for each block.
    """
    if not grid.groups:
        return [list(range(len(widths)))]
    blocks: list[list[int]] = []
    place = 1
    for _, span in grid.grouped:
        group = list(range(place, place + span))
        place += span
        last = blocks[-1] if blocks else []
        if last and sum(widths[i] + 2 for i in [*last, *group]) <= WIDEST:
            last += group
        else:
            blocks.append([0, *group])
    return blocks


def _justified(row: Sequence[str], widths: Sequence[int], text: Collection[int]) -> list[str]:
    """Cells of one width a column; `text` are the columns that are not numbers."""
    return [
        cell.ljust(width) if column in text else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _piped(grid: Grid) -> list[str]:
    """A Markdown table; its second line aligns the columns."""
    numbers = len(grid.header) - 1 - grid.prose
    rule = ["---", *(["---:"] * numbers), *(["---"] * grid.prose)]
    rows = [grid.one_header, rule, *grid.rows]
    return ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]


def _below(grid: Grid) -> list[str]:
    """The note, and the footnotes as a list."""
    footnotes = [f"- {_escaped(footnote)}" for footnote in grid.footnotes]
    return [_escaped(grid.note), *(["", *footnotes] if footnotes else [])]


def _escaped(text: str) -> str:
    """The text with nothing that Markdown would take for markup, on one line."""
    for character in "\\|*<[`":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
