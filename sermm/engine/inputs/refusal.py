"""What a user is told where a protocol does not fit a corpus.

The cause stands first; below it what the corpus holds, who has left out what, and what fits.
"""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from sermm.core.errors import InputError
from sermm.core.records import Problem
from sermm.engine.inputs.alternatives import Trial, ways_out
from sermm.protocols.balance import Balance
from sermm.protocols.folds import grouped
from sermm.protocols.summary import classes_by_talker

_MOST_TALKERS: Final = 20
_LISTED: Final = 3
# Of the median talker's utterances; who has no more may be a misspelt name.
_FEW: Final = 0.1


def unfit(
    error: InputError, trial: Trial, balance: Balance, problems: Sequence[Problem]
) -> InputError:
    """The error with all that helps to understand it.

    Args:
        error: of the protocol, on this corpus.
        trial: the corpus, and the protocol.
        balance: of the rows of the corpus.
        problems: of the corpus.

    Returns:
        What is to be raised in its place.
    """
    lines = [str(error)]
    if trial.selected:
        lines += [*_talkers(trial), *_odd(trial)]
    lines += [str(balance), *_problems(problems), *ways_out(trial)]
    return InputError("\n".join(lines))


def _talkers(trial: Trial) -> Iterator[str]:
    """The table of talkers and classes; of many talkers those that lack the most."""
    protocol = trial.protocol
    table = classes_by_talker(trial.selected, protocol)
    shown = sorted(table, key=lambda one: -list(table[one].values()).count(0))[:_MOST_TALKERS]
    rows = [["talker", *protocol.classes]]
    rows += [[name, *map(str, table[name].values())] for name in table if name in shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join(["", name.ljust(widths[0]), *numbers])
    if len(table) > len(shown):
        yield f"  and {len(table) - len(shown)} more talkers"


def _odd(trial: Trial) -> Iterator[str]:
    """Talkers with hardly an utterance, who may be one misspelt name."""
    said = grouped(trial.selected, lambda u: u.speaker)
    usual = median(len(one) for one in said.values())
    for name, utterances in said.items():
        if len(utterances) <= _FEW * usual:
            ids = ", ".join(u.id for u in utterances[:_LISTED])
            more = ", ..." if len(utterances) > _LISTED else ""
            yield (
                f"talker {name} has {len(utterances)} of them ({ids}{more}), the median talker "
                f"{usual:g}: is the name spelt right?"
            )


def _problems(problems: Sequence[Problem]) -> Iterator[str]:
    """A line for each kind of problem, with the first of it."""
    kinds: dict[str, list[Problem]] = {}
    for one in problems:
        kinds.setdefault(one.kind, []).append(one)
    for kind, found in kinds.items():
        yield f"problem {kind}, {len(found)} times; the first: {found[0].where}: {found[0].what}"
