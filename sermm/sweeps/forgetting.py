"""Removes runs of a study that are not wanted, with what its plans say of them.

Which: a run by its folder or key, or those of a study by state and by the words of
`sermm.runs.find`; of runs that have not finished, the configuration and the words of the sweep tell
what they are. Never one that is running, nor what is no run, nor anything outside `runs_dir`.
"""

import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sermm.configuration.compose import read_yaml
from sermm.core.errors import InputError
from sermm.runs.find import fitting, named, parted
from sermm.runs.folder import FORGOTTEN, RunFolder
from sermm.runs.layout import CONFIG, is_run
from sermm.runs.plans import forget_jobs, read_note, read_plans
from sermm.runs.result import Result
from sermm.runs.status import ALIVE, State
from sermm.runs.studies import title
from sermm.runs.systems import FinishedRun
from sermm.sweeps.slurm.states import entries
from sermm.sweeps.study import Entry
from sermm.sweeps.study import entries as without_slurm

# How a run folder is called, be nothing in it yet.
_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Unwanted:
    """What would be forgotten.

    Attributes:
        study: its folder.
        entries: runs, and planned jobs without one.
        kept: why others that are meant stay, a sentence each.
    """

    study: Path
    entries: tuple[Entry, ...]
    kept: tuple[str, ...]


def unwanted(word: str, states: Collection[State] | None, runs_dir: Path) -> Unwanted:
    """The runs that a word and states name.

    Args:
        word: a run, a study, or `STUDY:MODEL KEY=VALUE ...`.
        states: that they are in; None: whatever they are in.
        runs_dir: where studies are.

    Raises:
        InputError: there is no such thing, it is not in `runs_dir`, or a whole study is named
            without a state.
    """
    found = named(word, runs_dir)
    study = found.folder if found.wanted is not None else found.folder.parent
    if (
        not study.resolve().is_relative_to(runs_dir.resolve())
        or study.resolve() == runs_dir.resolve()
    ):
        raise InputError(
            f"{study} is no study in {runs_dir}, and nothing else is forgotten; say runs_dir="
        )
    if found.wanted == "" and states is None:
        raise InputError(
            f"{word} is a whole study: say which of its runs, state=failed or "
            f"'{word}:MODEL KEY=VALUE ...', or state=all"
        )
    every = entries(study)
    meant = every
    if found.wanted is None:
        meant = [one for one in every if one.name == found.folder.name]
    elif found.wanted:
        meant = _fitting(every, found.wanted)
    chosen = [one for one in meant if states is None or one.state in states]
    kept = {one: why for one in chosen if (why := _why_kept(one)) is not None}
    return Unwanted(study, tuple(one for one in chosen if one not in kept), tuple(kept.values()))


def forget(found: Unwanted) -> Unwanted:
    """Removes them; what a killed process has left half deleted goes too.

    Returns:
        What has gone, and why others stay: a process may have begun since.
    """
    kept: list[str] = list(found.kept)
    gone: list[Entry] = []
    for entry in found.entries:
        try:
            _remove(entry)
            gone.append(entry)
        except InputError as error:
            kept.append(str(error))
    forget_jobs(found.study, _jobs_of(found.study, gone))
    for rest in found.study.glob(f"{FORGOTTEN}*"):
        shutil.rmtree(rest)
    return Unwanted(found.study, tuple(gone), tuple(kept))


def _remove(entry: Entry) -> None:
    if entry.folder is None:
        return
    if entry.folder.is_file():
        # a plan that cannot be read
        entry.folder.unlink()
    elif entry.folder.exists():
        RunFolder(entry.folder).forget()


def _jobs_of(study: Path, gone: Sequence[Entry]) -> set[str]:
    """The planned jobs that go with their runs: those that no other run is of."""
    others = {one.job.id for one in without_slurm(study) if one.folder is not None and one.job}
    keys = {one.name for one in gone if one.folder is not None}
    ids = {one.job.id for one in gone if one.job}
    for job in read_plans(study).jobs:
        note = read_note(study, job.id)
        if note is not None and note.key in keys:
            ids.add(job.id)
    return ids - others


def _why_kept(entry: Entry) -> str | None:
    """Why a run is not to be forgotten; None if it may be."""
    if entry.state == "running":
        return f"{entry.folder} is running; stop it first"
    if entry.state in ALIVE:
        return f"{entry.name} is {entry.state} as Slurm job {entry.slurm}; scancel it first"
    folder = entry.folder
    if folder is None or folder.is_file() or is_run(folder) or _KEY.fullmatch(folder.name):
        return None
    return f"{folder} is no run folder; remove it by hand if it is not wanted"


def _fitting(every: Sequence[Entry], wanted: str) -> list[Entry]:
    """Those that the words mean: of finished runs as everywhere, of others as far as they tell."""
    runs = {one: run for one in every if (run := _finished(one)) is not None}
    meant = {run.folder for run in fitting(list(runs.values()), wanted, twins=True)}
    return [one for one in every if (one.folder in meant if one in runs else _fits(one, wanted))]


def _finished(entry: Entry) -> FinishedRun | None:
    if entry.state != "finished" or entry.folder is None:
        return None
    try:
        return FinishedRun(entry.folder, Result.read(entry.folder))
    except (OSError, InputError):
        return None


def _fits(entry: Entry, wanted: str) -> bool:
    """Whether a run without a result is of the model, and has the settings, of the words."""
    pairs, words = parted(wanted)
    told = {} if entry.job is None else parted(" ".join(entry.job.words))[0]
    told = {key.lstrip("+"): value for key, value in told.items()}
    configured = _configured(entry.folder)
    names = {told.get("model"), configured.get("model.name"), configured.get("model.variant")}
    name = " ".join(word for word in words if "=" not in word)
    if name and name not in names:
        return False
    place = {} if entry.folder is None else title(entry.folder)
    return all(
        value in (told.get(k), place.get(k), configured.get(k)) for k, value in pairs.items()
    )


def _configured(folder: Path | None) -> dict[str, str]:
    """The settings of a run's configuration by dotted key; none where it cannot be read."""
    if folder is None:
        return {}
    try:
        return dict(_dotted("", read_yaml(folder / CONFIG)))
    except (OSError, InputError):
        return {}


def _dotted(key: str, value: object) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(key, str(value))]
    return [
        pair
        for name, one in value.items()
        for pair in _dotted(f"{key}.{name}" if key else str(name), one)
    ]
