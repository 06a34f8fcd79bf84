"""Runs put together: by table (corpus and protocol), then by system."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sermm.core.errors import InputError
from sermm.report.runs import Result, Run

Systems = dict[str, list[Run]]


def by_table(runs: Sequence[Run]) -> dict[tuple[str, ...], Systems]:
    """Runs by table (corpus, protocol, classes), then by system; both in a stable order."""
    grouped: dict[tuple[str, ...], Systems] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        table = (run.result.data, run.result.protocol, *run.result.classes)
        grouped[table][run.result.system].append(run)
    for systems in grouped.values():
        for same in systems.values():
            same.sort(key=lambda run: (run.result.seed, run.result.fold))
            _refuse_twins(same)
    return dict(sorted(grouped.items()))


def _refuse_twins(runs: Sequence[Run]) -> None:
    seen: dict[tuple[int, int], Run] = {}
    for run in runs:
        place = (run.result.seed, run.result.fold)
        if place in seen:
            raise InputError(
                f"{seen[place].folder} and {run.folder} are both {run.result.model}, seed "
                f"{place[0]}, fold {place[1]}; remove one of them"
            )
        seen[place] = run


def labels(systems: Systems) -> dict[str, str]:
    """A label for each system: its model's name, and the settings that differ among namesakes."""
    apart = told_apart(systems, lambda result: result.model)
    return {
        system: f"{runs[0].result.model} {apart[system]}".strip()
        for system, runs in systems.items()
    }


def told_apart(systems: Systems, kind: Callable[[Result], str]) -> dict[str, str]:
    """For each system the settings that tell it from others of its kind; empty if it is alone."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for system, runs in systems.items():
        kinds[kind(runs[0].result)].append(system)
    apart = {}
    for same in kinds.values():
        told = _differences({s: systems[s][0].result.settings for s in same})
        counts = Counter(told.values())
        for system in same:
            twin = f"[{system[:8]}]" if counts[told[system]] > 1 else ""
            apart[system] = f"{told[system]} {twin}".strip()
    return apart


def _differences(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The settings of each system that are not the same for all; a default is not spelt out."""
    every = sorted(set().union(*settings.values()))
    differ = [key for key in every if len({str(s.get(key)) for s in settings.values()}) > 1]
    return {
        system: " ".join(f"{key}={given[key]}" for key in differ if key in given)
        for system, given in settings.items()
    }
