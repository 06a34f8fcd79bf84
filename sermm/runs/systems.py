"""Runs put together: by table (corpus and protocol), then by system.

A system is a configuration without fold and seed (`Result.system`), so its runs differ in these two
and are the sample that means and deviations are of. The report, `sermm combine` and the grammar of
`sermm.runs.find` group and name runs here, so that a row has one name everywhere.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sermm.core.damage import forgetting
from sermm.core.errors import InputError
from sermm.runs.result import Result


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A finished run: where it lies, and what it came to."""

    folder: Path
    result: Result


R = TypeVar("R", bound=FinishedRun)
Systems = dict[str, list[R]]


def by_table(runs: Sequence[R], twins: bool = False) -> dict[tuple[str, ...], Systems[R]]:
    """Runs by table (corpus, protocol, classes), then by system; both in a stable order.

    Args:
        runs: finished, of one study.
        twins: let two runs be of one system, seed and fold.

    Returns:
        Systems by table; the runs of each by seed, then by fold.

    Raises:
        InputError: two runs are of one system, seed and fold, which would count twice.
    """
    grouped: dict[tuple[str, ...], Systems[R]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        table = (run.result.data, run.result.protocol, *run.result.classes)
        grouped[table][run.result.system].append(run)
    for systems in grouped.values():
        for same in systems.values():
            same.sort(key=lambda run: (run.result.seed, run.result.fold))
            if not twins:
                _refuse_twins(same)
    return dict(sorted(grouped.items()))


def _refuse_twins(runs: Sequence[FinishedRun]) -> None:
    seen: dict[tuple[int, int], FinishedRun] = {}
    for run in runs:
        place = (run.result.seed, run.result.fold)
        if place in seen:
            raise InputError(
                f"{seen[place].folder} and {run.folder} are both {run.result.model}, seed "
                f"{place[0]}, fold {place[1]}; remove one of them: "
                f"`{forgetting(run.folder.parent, run.folder.name)} yes=true`"
            )
        seen[place] = run


def labels(systems: Mapping[str, Sequence[FinishedRun]]) -> dict[str, str]:
    """A label for each system: its model's name, and the settings that differ among namesakes.

    Namesakes whose settings do not tell them apart have their variants' names, if these do. What
    nothing tells apart gets the first digits of its digest.

    Args:
        systems: of one table; what differs depends on which others there are.
    """
    firsts = {system: runs[0].result for system, runs in systems.items()}
    apart = told_apart(systems, lambda result: result.model)
    named = {system: f"{firsts[system].model} {words}".strip() for system, words in apart.items()}
    for model in {result.model for result in firsts.values()}:
        same = [system for system, result in firsts.items() if result.model == model]
        variants = {system: firsts[system].variant for system in same}
        unclear = any(apart[system].endswith(_mark(system)) for system in same)
        if unclear and len(set(variants.values())) == len(same):
            named |= variants
    return named


def told_apart(
    systems: Mapping[str, Sequence[FinishedRun]], kind: Callable[[Result], str]
) -> dict[str, str]:
    """For each system the settings that tell it from others of its kind; empty if it is alone.

    Args:
        systems: of one table.
        kind: systems with the same are namesakes: the model, say, or the variant.

    Returns:
        `key=value ...` by system, with a mark where several have the same.
    """
    kinds: dict[str, list[str]] = defaultdict(list)
    for system, runs in systems.items():
        kinds[kind(runs[0].result)].append(system)
    apart = {}
    for same in kinds.values():
        words = _differences({s: systems[s][0].result.settings for s in same})
        counts = Counter(words.values())
        for system in same:
            twin = _mark(system) if counts[words[system]] > 1 else ""
            apart[system] = f"{words[system]} {twin}".strip()
    return apart


def _mark(system: str) -> str:
    """What tells a system apart when nothing else does."""
    return f"[{system[:8]}]"


def _differences(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The settings of each system that are not the same for all; a default is not spelt out."""
    every = sorted(set().union(*settings.values()))
    differ = [key for key in every if len({str(s.get(key)) for s in settings.values()}) > 1]
    return {
        system: " ".join(f"{key}={given[key]}" for key in differ if key in given)
        for system, given in settings.items()
    }
