"""Runs put together: by table (corpus and protocol), then by system."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sermm.core.errors import InputError
from sermm.report.runs import Run

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
    namesakes: dict[str, list[str]] = defaultdict(list)
    for system, runs in systems.items():
        namesakes[runs[0].result.model].append(system)
    told_apart = {}
    for name, same in namesakes.items():
        told = _differences({s: systems[s][0].result.settings for s in same})
        for system in same:
            twins = sum(told[system] == other for other in told.values()) > 1
            parts = [name, told[system], f"[{system[:8]}]" if twins else ""]
            told_apart[system] = " ".join(part for part in parts if part)
    return told_apart


def _differences(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The settings of each system that are not the same for all; a default is not spelt out."""
    every = sorted(set().union(*settings.values()))
    differ = [key for key in every if len({str(s.get(key)) for s in settings.values()}) > 1]
    return {
        system: " ".join(f"{key}={given[key]}" for key in differ if key in given)
        for system, given in settings.items()
    }
