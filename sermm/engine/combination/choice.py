"""Which finished runs are combined with each other.

`sermm combine A B` names systems, not runs: two studies, or two systems of studies, each with a run
for every fold and seed. `chosen` finds the runs of each word, `matched` puts those together that
are of the same fold and seed; each group becomes a `Plan`. A run without a partner is told, not
dropped: it may be one that has not finished yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.records import Problem
from sermm.engine.combination.parts import described, read_part
from sermm.runs.find import fitting, named
from sermm.runs.reading.runs import Study, read_study
from sermm.runs.result import Result
from sermm.runs.systems import by_table, labels

# Corpus, protocol, classes, seed and fold: what runs must share to be combined.
Common = tuple[str, str, tuple[str, ...], int, int]


@dataclass(frozen=True)
class Choice:
    """The runs that one word of the command names.

    Attributes:
        word: as it was typed.
        folders: of the runs, with what each came to.
        study: None where the word names a single run.
        unfinished: how many run folders of the study did not finish or cannot be read.
    """

    word: str
    folders: dict[Path, Result]
    study: Path | None = None
    unfinished: int = 0


def chosen(word: str, runs_dir: Path) -> Choice:
    """The runs that a word names (see `sermm.runs.find`), of one system in each table.

    Args:
        word: a run folder, a key, a study, or a system of a study by its row of the report.
        runs_dir: where studies lie.

    Raises:
        InputError: there is no such thing, or several systems are meant.
    """
    found = named(word, runs_dir)
    if found.wanted is None:
        return Choice(word, {found.folder: read_part(found.folder).result})
    study = read_study(found.folder)
    meant = fitting(study.runs, found.wanted)
    if not meant:
        for trial in study.trials[:1]:
            trial.result.refuse_withheld(f"cannot combine {word}")
        raise InputError(
            f"no system {found.wanted!r} in study {found.folder}; it has {_known(study)}"
        )
    tables = by_table(study.runs)
    for table, systems in by_table(meant).items():
        _refuse_several(found.wanted, [labels(tables[table])[system] for system in systems])
    folders = {run.folder: run.result for run in meant}
    return Choice(word, folders, found.folder, len(study.problems))


def _refuse_several(wanted: str, systems: Sequence[str]) -> None:
    """Refuses a word that means several rows of a table; their names are what to write instead."""
    if len(systems) > 1:
        raise InputError(
            f"{wanted or 'the study'} has {len(systems)} systems, expected one: "
            f"{', '.join(sorted(map(repr, systems)))}; say STUDY:MODEL with one of these, quoted"
        )


def _known(study: Study) -> str:
    """The systems of a study as its report calls them, for messages."""
    tables = by_table(study.runs).values()
    return ", ".join(
        sorted({repr(name) for systems in tables for name in labels(systems).values()})
    )


def matched(choices: Sequence[Choice]) -> tuple[list[tuple[Path, ...]], list[Problem]]:
    """Runs put together by corpus, protocol, seed and fold.

    Single runs are put together whatever they are: it is for `Plan.checked` to refuse them.

    Args:
        choices: one for each part of the combinations.

    Returns:
        The folders of each combination, in the order of the choices; and the runs that lack a
        partner.
    """
    if all(choice.study is None for choice in choices):
        return [tuple(folder for choice in choices for folder in choice.folders)], []
    places = [{_common(result): f for f, result in c.folders.items()} for c in choices]
    shared = sorted(set(places[0]).intersection(*places[1:]))
    lonely = [
        Problem(str(folder), _lacks(choice.folders[folder], place, choices, places), "no_partner")
        for choice, found in zip(choices, places, strict=True)
        for place, folder in sorted(found.items())
        if place not in shared
    ]
    return [tuple(found[place] for found in places) for place in shared], lonely


def _common(result: Result) -> Common:
    """What a run must share with another one to be combined with it; the rest is checked later."""
    return result.data, result.protocol, tuple(result.classes), result.seed, result.fold


def _lacks(
    result: Result, place: Common, choices: Sequence[Choice], places: Sequence[dict[Common, Path]]
) -> str:
    """Why a run stays alone: the words of the command that name no run of its fold and seed."""
    without = [c.word for c, found in zip(choices, places, strict=True) if place not in found]
    return f"{described(result)}: no finished run of {', '.join(without)} to combine it with"
