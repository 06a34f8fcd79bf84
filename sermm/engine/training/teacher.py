"""Which finished run teaches a student, and whether it may."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from sermm.configuration.compose import read_yaml, run_key
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.engine.training.distillation import strength
from sermm.models.base import CountingSystem
from sermm.runs.find import finished_runs, named, only
from sermm.runs.folder import RunFolder
from sermm.runs.layout import CONFIG
from sermm.runs.result import Result

# What of a teacher's result the student's configuration says.
KEPT = ("key", "system", "seed", "split_digest", "model", "variant")


def with_teacher(plain: dict[str, Any], classes: Sequence[str], fold: Fold) -> dict[str, Any]:
    """The configuration of a student with what its teacher is, in place of how it was named.

    The run's key follows from the teacher's key and split, so that the folder may be named in any
    way, and may be gone once the student has what it needs of it.

    Raises:
        InputError: there is no such run, several are meant, or this one may not teach it.
    """
    word = plain["teacher"]
    if word is None:
        return plain
    strength(plain)
    _refuse_counting(plain)
    if not isinstance(word, str):
        raise InputError(
            f"teacher={word}: expected a run folder, a key, or a study; a key of digits needs "
            "quotes within quotes: 'teacher=\"0123456789012345\"'"
        )
    try:
        folder = teacher_folder(word, plain)
    except InputError:
        if (known := _recorded(plain)) is None:
            raise
        print(f"teacher={word} is not to be had; taken from the run's record", file=sys.stderr)
        return {**plain, "teacher": known}
    try:
        result = RunFolder(folder).finished()
    except InputError as error:
        raise InputError(f"teacher: {error}") from error
    refuse_teacher(folder, result, plain, list(classes), fold)
    kept = {name: getattr(result, name) for name in KEPT}
    parameters, ua = asdict(result.parameters), result.test_ua
    told = {"asked": word, "folder": str(folder.resolve())}
    record = {**told, **kept, "parameters": parameters, "ua": ua}
    return {**plain, "teacher": record}


def teacher_folder(word: str, plain: Mapping[str, Any]) -> Path:
    """The run folder that a word names (see `sermm.runs.find`), at the student's place.

    Without words it is the one that neither is a floor nor had a teacher itself.

    Raises:
        InputError: there is no such run, or several are meant.
    """
    try:
        found = named(word, Path(plain["runs_dir"]))
    except InputError as error:
        raise InputError(f"teacher={word}: {error}") from error
    if found.wanted is None:
        return found.folder
    place = {
        "data": plain["data"]["name"],
        "protocol": plain["protocol"]["name"],
        "fold": plain["fold"],
        "seed": plain["seed"],
    }
    here = [
        run
        for run in finished_runs(found.folder)
        if all(getattr(run.result, name) == value for name, value in place.items())
    ]
    # One that had a teacher is meant only if it is said.
    said = "teacher=" in found.wanted
    own = [run for run in here if run.result.parts is None and (said or not run.result.teacher)]
    return only(own, found, ", ".join(f"{name} {value}" for name, value in place.items())).folder


def refuse_teacher(
    folder: Path,
    result: Result,
    plain: Mapping[str, Any],
    classes: list[str],
    fold: Fold,
) -> None:
    """A teacher must know the student's classes, and nothing of its validation and test parts.

    Raises:
        InputError: it may not teach this student.
    """
    if result.parts is not None:
        raise InputError(
            f"teacher: {folder} is a combination and has no weights; use one of its parts: "
            f"{', '.join(result.parts)}"
        )
    if result.floor:
        raise InputError(f"teacher: {folder} is the floor {result.model}; choose a system")
    if result.data != plain["data"]["name"]:
        raise InputError(
            f"teacher: {folder} was trained on {result.data}, the student is on "
            f"{plain['data']['name']}; choose a run on the same corpus"
        )
    if list(result.classes) != classes:
        raise InputError(
            f"teacher: {folder} knows the classes {list(result.classes)}, the student has "
            f"{classes}; choose a run with the same classes in the same order"
        )
    if result.split_digest != fold.digest:
        theirs = f"{result.protocol} fold {result.fold}, seed {result.seed}"
        ours = f"{plain['protocol']['name']} fold {plain['fold']}, seed {plain['seed']}"
        raise InputError(
            f"teacher: {folder} is of {theirs}, the student of {ours}: their parts hold other "
            "utterances, so that it may have been trained on what the student is tested on; name "
            "the study, and each fold finds its own teacher"
        )
    if result.selection == "test" and not plain["select_on_test"]:
        raise InputError(
            f"teacher: the epoch of {folder} was chosen on the test part, the student's is not; "
            "train the teacher with select_on_test=false"
        )
    if run_key({**plain, "teacher": None}) == result.key:
        raise InputError(
            f"teacher: {folder} is this very run, but for the teacher; choose another run, or "
            "train another model"
        )


def _refuse_counting(plain: Mapping[str, Any]) -> None:
    if issubclass(get_class(plain["model"]["system"]["_target_"]), CountingSystem):
        raise InputError(
            f"model {plain['model']['name']} counts and has no loss that a teacher could enter; "
            "leave teacher= out, or choose another model="
        )


def _recorded(plain: dict[str, Any]) -> dict[str, Any] | None:
    """The teacher of the student's run of an earlier time, if the same words began it."""
    study = Path(plain["runs_dir"]) / plain["study"]
    for path in sorted(study.glob(f"*/{CONFIG}")):
        known: dict[str, Any] | None = read_yaml(path).get("teacher")
        if known is None or known["asked"] != plain["teacher"]:
            continue
        if run_key({**plain, "teacher": known}) == path.parent.name:
            return known
    return None
