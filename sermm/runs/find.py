"""What a word of a command names, the same in every verb: a run, or runs of a study.

runs/first/0123456789abcdef    a run folder, or a study's
first/0123456789abcdef         STUDY/KEY; the first digits of a key do
0123                           a key, or its first digits
first                          a study: its one system beside the floors
first:late_fusion width=8      STUDY:MODEL KEY=VALUE ...: the model, its variant or the row as
`sermm report` prints it; KEY is a setting, or data, protocol,
fold, seed

In two steps: `named` looks at names of files only, so that a typing error costs nothing; what then
takes part is read (`finished_runs`) and chosen (`fitting`, or `only` where one run is wanted).
"""

import glob
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.files import is_folder
from sermm.runs.folder import RunFolder
from sermm.runs.layout import MARKS, is_run
from sermm.runs.result import Result
from sermm.runs.studies import (
    find_study,
    known_studies,
    places,
    run_folders,
    title,
)
from sermm.runs.systems import FinishedRun, R, by_table, labels

# What the runs of a system are told apart by.
PLACE = ("data", "protocol", "fold", "seed")


@dataclass(frozen=True)
class Named:
    """What a word names.

    Attributes:
        word: as typed.
        folder: of the run, or of the study.
        wanted: what of the study is meant, the part after the colon; None: the folder is a run's.
    """

    word: str
    folder: Path
    wanted: str | None


def named(word: str, runs_dir: Path) -> Named:
    """The run or the study that a word names; of the files there only names are looked at.

    What lies there under that very name goes first, in `runs_dir` and then in the working
    directory; then STUDY:MODEL; a key, or its first digits, comes last.

    Args:
        word: as typed.
        runs_dir: where studies are.

    Raises:
        InputError: there is no such thing, or several runs have such a key.
    """
    for folder in places(word, runs_dir):
        if is_run(folder):
            return Named(word, folder, None)
        if is_folder(folder):
            return Named(word, folder, "")
    study, colon, wanted = word.partition(":")
    if colon:
        return Named(word, find_study(study, runs_dir), wanted.strip())
    return Named(word, _by_key(word, runs_dir), None)


def find_run(word: str, runs_dir: Path) -> Path:
    """The folder of the one run with weights that a word names, finished or not if by its key.

    Combinations have no weights, and do not count where a study is named.

    Args:
        word: as typed.
        runs_dir: where studies are.

    Raises:
        InputError: there is no such run, or several fit.
    """
    found = named(word, runs_dir)
    if found.wanted is None:
        return found.folder
    runs = [run for run in finished_runs(found) if run.result.parts is None]
    return only(runs, found).folder


def find_runs(word: str, runs_dir: Path) -> list[Path]:
    """The folders of all runs with weights that a word names: of a study, all but the floors.

    Args:
        word: as typed.
        runs_dir: where studies are.

    Returns:
        The folders, in the order of the study's systems, folds and seeds.

    Raises:
        InputError: there is no such run.
    """
    found = named(word, runs_dir)
    if found.wanted is None:
        return [found.folder]
    runs = [run for run in finished_runs(found) if run.result.parts is None]
    if meant := fitting(runs, found.wanted):
        return [run.folder for run in meant]
    return [only(runs, found).folder]


def finished_runs(named: Named, place: Mapping[str, object] | None = None) -> list[FinishedRun]:
    """The finished runs of a study, by folder name.

    A damaged one that is surely another than what is meant does not matter.

    Args:
        named: the study, and what of it is meant.
        place: corpus, protocol, fold and seed, where these are known already.

    Raises:
        InputError: one that may be meant is damaged, or of a newer format.
    """
    runs: list[FinishedRun] = []
    errors: dict[Path, InputError] = {}
    for folder in run_folders(named.folder):
        try:
            result = RunFolder(folder).result
        except InputError as error:
            errors[folder] = error
            continue
        if result is not None:
            runs.append(FinishedRun(folder, result))
    models = {run.result.model for run in runs}
    for folder, damage in errors.items():
        if _may_be_meant(title(folder), named.wanted or "", place or {}, models):
            raise damage
    return runs


def _may_be_meant(
    told: Mapping[str, str], wanted: str, place: Mapping[str, object], models: Collection[str]
) -> bool:
    """Whether a run that cannot be read may be the one: its configuration tells what it is."""
    pairs, words = parted(wanted)
    asked = {name: str(value) for name, value in {**place, **pairs}.items() if name in told}
    if any(told[name] != value for name, value in asked.items()):
        return False
    name = " ".join(word for word in words if "=" not in word)
    return name not in models or told.get("model", name) == name


def fitting(runs: Sequence[R], wanted: str, twins: bool = False) -> list[R]:
    """Those of the runs of a study that are meant; without a model, all but the floors.

    A row that is named as the report prints it is that row, even if others are of its model too.

    Args:
        runs: of one study.
        wanted: `MODEL KEY=VALUE ...`, either part may be absent.
        twins: let a run be there twice.

    Raises:
        InputError: a run is there twice.
    """
    pairs, words = parted(wanted)
    place = {name: value for name, value in pairs.items() if name in PLACE}
    row = " ".join(word for word in words if word.split("=", 1)[0] not in place)
    found: list[R] = []
    for systems in by_table(runs, twins).values():
        names = labels(systems)
        same = [system for system in systems if names[system] == row]
        same = same or [s for s, (first, *_) in systems.items() if _fits(first.result, row)]
        found += [run for system in same for run in systems[system]]
    return [run for run in found if _is_at(run.result, place)]


def only(runs: Sequence[FinishedRun], found: Named, common: str = "") -> FinishedRun:
    """The one of the runs that a word names.

    Args:
        runs: of the study that are to be had.
        found: what the word names.
        common: what all of them have in common ("fold 1, seed 0"), for the message.

    Raises:
        InputError: none of them fits, or several do; says which there are.
    """
    wanted = found.wanted or ""
    meant = fitting(runs, wanted)
    if len(meant) == 1:
        return meant[0]
    fits, place = (f" that fits {wanted!r}" if wanted else ""), (f" for {common}" if common else "")
    many = "several finished runs" if meant else "no finished run"
    there = ", ".join(_described([run.result for run in meant or runs], common)) or "nothing"
    raise InputError(
        f"study {found.folder} has {many}{fits}{place}; there it has: {there}; say "
        "'STUDY:MODEL KEY=VALUE ...' with one of these, or train it"
    )


def _by_key(word: str, runs_dir: Path) -> Path:
    """The run folder whose key begins so: KEY, STUDY/KEY, or a path that ends so."""
    above, _, key = word.rpartition("/")
    studies = places(above, runs_dir) if above else known_studies(runs_dir)
    patterns = [f"{glob.escape(key)}*/{mark}" for mark in MARKS] if key else []
    there = [study for study in studies if is_folder(study)]
    found = sorted({p.parent for study in there for one in patterns for p in study.glob(one)})
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{word!r} fits several runs: {', '.join(map(str, found[:5]))}; say more")
    known = ", ".join(study.name for study in known_studies(runs_dir)) or "no study at all"
    raise InputError(
        f"{word!r} is no study in {runs_dir} ({known}), and there is no run {word!r}: neither a "
        "run folder nor a key there; runs_dir= or SERMM_RUNS says where runs are"
    )


def parted(wanted: str) -> tuple[dict[str, str], list[str]]:
    """The pairs among the words, and all words."""
    words = wanted.split()
    return dict(word.split("=", 1) for word in words if "=" in word), words


def _fits(result: Result, row: str) -> bool:
    """Whether a run is of the model or variant, and has the settings, of a row's words."""
    pairs, words = parted(row)
    name = " ".join(word for word in words if "=" not in word)
    settings = {key: str(value) for key, value in result.settings.items()}
    if name not in ("", result.model, result.variant) or (not name and result.floor):
        return False
    return pairs.items() <= settings.items()


def _is_at(result: Result, place: Mapping[str, str]) -> bool:
    return all(str(getattr(result, name)) == value for name, value in place.items())


def _described(results: Sequence[Result], common: str) -> list[str]:
    """Words that name each: variant and settings, and where it is unless they share that."""
    apart = () if common else ("fold", "seed")
    descriptions = set()
    for one in results:
        pairs = [*sorted(one.settings.items()), *((name, getattr(one, name)) for name in apart)]
        descriptions.add(repr(" ".join([one.variant, *(f"{key}={value}" for key, value in pairs)])))
    return sorted(descriptions)
