"""Which finished runs are combined with each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.records import Problem
from sermm.engine.combination.parts import described, read_part
from sermm.report.tables.rows import FLOORS
from sermm.report.tables.systems import Systems, by_table, labels
from sermm.runs.folder import find_run
from sermm.runs.reading.folders import find_study
from sermm.runs.reading.runs import Result, Run, Study, read_study

Place = tuple[str, str, tuple[str, ...], int, int]


@dataclass(frozen=True)
class Choice:
    """The runs that one word of the command names.

    Attributes:
        folders: of the runs.
        study: None where the word names a single run.
        unfinished: how many run folders of the study did not finish or cannot be read.
    """

    word: str
    folders: dict[Path, Result]
    study: Path | None = None
    unfinished: int = 0


def chosen(word: str, runs_dir: Path) -> Choice:
    """The runs that a word names: a run (folder or key), a study, or STUDY:MODEL.

    Raises:
        InputError: there is no such thing, or a study has several systems and none is named.
    """
    for folder in (runs_dir / word, Path(word)):
        if any((folder / name).is_file() for name in ("status.json", "config.yaml")):
            return Choice(word, {folder: read_part(folder).result})
        if word and folder.is_dir():
            return _of_study(word, folder, "")
    if ":" in word:
        study, _, model = word.partition(":")
        return _of_study(word, find_study(study, runs_dir), model)
    try:
        folder = find_run(word, runs_dir)
    except InputError as error:
        raise InputError(f"{word!r} is no study in {runs_dir} either: {error}") from error
    return Choice(word, {folder: read_part(folder).result})


def _of_study(word: str, folder: Path, model: str) -> Choice:
    study = read_study(folder)
    found = [run for systems in by_table(study.runs).values() for run in _named(systems, model)]
    if not found:
        raise InputError(f"no system {model!r} in study {folder}; it has {_known(study)}")
    return Choice(word, {r.folder: r.result for r in found}, folder, len(study.problems))


def _named(systems: Systems, model: str) -> list[Run]:
    """The runs of the one system of a table that has this label or model name.

    Without a name it is the one system beside the floors.

    Raises:
        InputError: several systems are meant.
    """
    names = labels(systems)
    meant = [s for s in systems if names[s] == model]
    if not meant:
        models = {s: runs[0].result.model for s, runs in systems.items()}
        meant = [s for s, m in models.items() if (m == model if model else m not in FLOORS)]
    if len(meant) > 1:
        several = ", ".join(sorted(repr(names[s]) for s in meant))
        raise InputError(
            f"{model or 'the study'} has {len(meant)} systems, expected one: {several}; say "
            "STUDY:MODEL with one of these, quoted"
        )
    return [run for s in meant for run in systems[s]]


def _known(study: Study) -> str:
    tables = by_table(study.runs).values()
    return ", ".join(
        sorted({repr(name) for systems in tables for name in labels(systems).values()})
    )


def matched(choices: Sequence[Choice]) -> tuple[list[tuple[Path, ...]], list[Problem]]:
    """Runs put together by corpus, protocol, seed and fold.

    Single runs are put together whatever they are: it is for `combine` to refuse them.

    Returns:
        The folders of each combination, in the order of the choices; and the runs that lack a
        partner.
    """
    if all(choice.study is None for choice in choices):
        return [tuple(folder for choice in choices for folder in choice.folders)], []
    places = [{_place(result): f for f, result in c.folders.items()} for c in choices]
    shared = sorted(set(places[0]).intersection(*places[1:]))
    lonely = [
        Problem(str(folder), _lacks(choice.folders[folder], place, choices, places), "no_partner")
        for choice, found in zip(choices, places, strict=True)
        for place, folder in sorted(found.items())
        if place not in shared
    ]
    return [tuple(found[place] for found in places) for place in shared], lonely


def _place(result: Result) -> Place:
    return result.data, result.protocol, tuple(result.classes), result.seed, result.fold


def _lacks(
    result: Result, place: Place, choices: Sequence[Choice], places: Sequence[dict[Place, Path]]
) -> str:
    without = [c.word for c, found in zip(choices, places, strict=True) if place not in found]
    return f"{described(result)}: no finished run of {', '.join(without)} to combine it with"
