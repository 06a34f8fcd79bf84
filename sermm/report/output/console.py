"""Tables that verbs print, and the list of what is wrong with a corpus.

Verbs that are asked for help import this too, so rich is imported only when a table is made.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_LISTED = 5


def simple_table(*columns: str) -> "Table":
    """An empty table: the first column to the left, numbers to the right.

    Args:
        columns: their titles; long cells are folded, not cut.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    return made


def problem_parts(problems: Sequence[Mapping[str, str]]) -> list["RenderableType"]:
    """How many of each kind, and the first few, for `rich` to print one below the other.

    Args:
        problems: each with `kind`, `where` (an utterance, say) and `what`.
    """
    if not problems:
        return ["No problems."]
    counts = simple_table("problems", "number")
    for kind, count in Counter(problem["kind"] for problem in problems).most_common():
        counts.add_row(kind, str(count))
    listed = [f"{p['where']}: {p['what']}" for p in problems[:_LISTED]]
    more = len(problems) - len(listed)
    return [counts, *listed, *([f"and {more} more (format=json lists all)"] if more else [])]
