"""Whether a figure of a paper may be judged by ours: the one rule for papers' tables and notes.

It may where corpus and protocol are the paper's, and where every run of ours was run as the table
of the paper says that its own system was (`sermm.runs.setup`), as often or more often. What else
stands in a cell is ours all the same, but there is no difference to the paper's, and what differs
is said.
"""

from collections.abc import Mapping
from typing import Any

from sermm.report.tables.rows import Row
from sermm.runs.setup import RUNS, declared, unlike

UNKNOWN = "unknown"
_MOST_NAMED = 3


def run_otherwise(setup: Mapping[str, Any] | None, row: Row, score: bool = True) -> tuple[str, ...]:
    """In what our runs are not as a paper's system was run, a phrase each; empty: in nothing.

    Args:
        setup: that the paper's table declares; None: it declares nothing.
        row: ours.
        score: the figure is of test predictions, so that the number of runs matters.
    """
    if setup is None:
        return ("what the paper's system was run with is not declared",)
    found = []
    if row.ran.n_unsaid:
        found.append(
            f"{row.ran.n_unsaid} of {row.n_runs} runs, made by an older version, do not say what "
            "they were run with"
        )
    for one in row.ran.setups:
        found += unlike(one, declared(setup, one.variant))
    if score and row.n_runs < (wanted := setup.get(RUNS, 1)):
        found.append(f"{row.n_runs} run{'' if row.n_runs == 1 else 's'}, the paper's {wanted}")
    return tuple(dict.fromkeys(found))


def other_protocol(theirs: str, ours: str) -> str | None:
    """Why the protocols forbid a comparison; None where they do not."""
    if theirs == UNKNOWN:
        return "the paper's protocol is not known"
    return None if theirs == ours else f"protocol {ours}, the paper's {theirs}"


def briefly(reasons: tuple[str, ...]) -> str:
    """The first few of them, and how many more there are."""
    more = len(reasons) - _MOST_NAMED
    return "; ".join([*reasons[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
