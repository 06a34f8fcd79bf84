"""Which finished run teaches a student, and whether it may."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from sermm.configuration.compose import read_yaml, run_key
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.engine.training.distillation import strength
from sermm.models.base import CountingSystem
from sermm.report.tables.rows import FLOORS
from sermm.runs.folder import RunFolder, find_run
from sermm.runs.reading.folders import find_study

# What the runs of a study are told apart by, when it has one for each fold and seed.
PLACE = ("data", "protocol", "fold", "seed")
# What of a teacher's result the student's configuration says.
KEPT = ("key", "system", "seed", "split_digest", "model", "variant", "parameters")


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
    result = _finished(folder)
    refuse_teacher(folder, result, plain, list(classes), fold)
    kept = {name: result[name] for name in KEPT}
    ua = result["metrics"]["test/ua"]
    record = {"asked": word, "folder": str(folder.resolve()), **kept, "ua": ua}
    return {**plain, "teacher": record}


def teacher_folder(word: str, plain: Mapping[str, Any]) -> Path:
    """The run folder that a word names: a folder, a key, STUDY or STUDY:MODEL KEY=VALUE ...

    Raises:
        InputError: there is no such run, or several are meant.
    """
    runs_dir = Path(plain["runs_dir"])
    for folder in (runs_dir / word, Path(word)):
        if any((folder / name).is_file() for name in ("config.yaml", "status.json")):
            return folder
        if word and folder.is_dir():
            return _of_study(folder, "", plain)
    if ":" in word:
        study, _, wanted = word.partition(":")
        return _of_study(find_study(study, runs_dir), wanted, plain)
    try:
        return find_run(word, runs_dir)
    except InputError as error:
        raise InputError(f"teacher={word} is no study in {runs_dir} either: {error}") from error


def _of_study(study: Path, wanted: str, plain: Mapping[str, Any]) -> Path:
    """The one finished run of a study that is at the student's place and fits the words.

    Without words it is the one that neither is a floor nor had a teacher itself.
    """
    place = {
        "data": plain["data"]["name"],
        "protocol": plain["protocol"]["name"],
        "fold": plain["fold"],
        "seed": plain["seed"],
    }
    told = ", ".join(f"{name} {value}" for name, value in place.items())
    here = {}
    for path in sorted(study.glob("*/result.json")):
        result = RunFolder(path.parent).result
        if result is not None and all(result[name] == place[name] for name in PLACE):
            here[path.parent] = result
    meant = [folder for folder, result in here.items() if _fits(result, wanted)]
    if len(meant) == 1:
        return meant[0]
    many = "several finished runs" if meant else "no finished run"
    name = f" that fits {wanted!r}" if wanted else ""
    known = ", ".join(sorted(_described(result) for result in here.values())) or "nothing"
    raise InputError(
        f"study {study} has {many}{name} for {told}; there it has: {known}; say "
        "teacher='STUDY:MODEL KEY=VALUE' with one of these, or train it"
    )


def _fits(result: Mapping[str, Any], wanted: str) -> bool:
    words = wanted.split()
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    name = " ".join(word for word in words if "=" not in word)
    settings = {key: str(value) for key, value in result["settings"].items()}
    if name not in ("", result["model"], result["variant"]):
        return False
    if not name and (result["model"] in FLOORS or "parts" in result):
        return False
    # One that had a teacher is meant only if it is said.
    return pairs.items() <= settings.items() and ("teacher" in pairs or not result.get("teacher"))


def _described(result: Mapping[str, Any]) -> str:
    settings = (f"{key}={value}" for key, value in sorted(result["settings"].items()))
    return repr(" ".join([result["variant"], *settings]))


def _finished(folder: Path) -> dict[str, Any]:
    run = RunFolder(folder)
    result = run.result
    if result is None:
        raise InputError(
            f"teacher: {folder} is {run.state or 'not started'}, not finished; the command that "
            "started it resumes it"
        )
    return result


def refuse_teacher(
    folder: Path,
    result: Mapping[str, Any],
    plain: Mapping[str, Any],
    classes: list[str],
    fold: Fold,
) -> None:
    """A teacher must know the student's classes, and nothing of its validation and test parts.

    Raises:
        InputError: it may not teach this student.
    """
    if "parts" in result:
        raise InputError(
            f"teacher: {folder} is a combination and has no weights; use one of its parts: "
            f"{', '.join(result['parts'])}"
        )
    if result["model"] in FLOORS:
        raise InputError(f"teacher: {folder} is the floor {result['model']}; choose a system")
    if result["data"] != plain["data"]["name"]:
        raise InputError(
            f"teacher: {folder} was trained on {result['data']}, the student is on "
            f"{plain['data']['name']}; choose a run on the same corpus"
        )
    if result["classes"] != classes:
        raise InputError(
            f"teacher: {folder} knows the classes {result['classes']}, the student has {classes}; "
            "choose a run with the same classes in the same order"
        )
    if result["split_digest"] != fold.digest:
        theirs = f"{result['protocol']} fold {result['fold']}, seed {result['seed']}"
        ours = f"{plain['protocol']['name']} fold {plain['fold']}, seed {plain['seed']}"
        raise InputError(
            f"teacher: {folder} is of {theirs}, the student of {ours}: their parts hold other "
            "utterances, so that it may have been trained on what the student is tested on; name "
            "the study, and each fold finds its own teacher"
        )
    if result["selection"] == "test" and not plain["select_on_test"]:
        raise InputError(
            f"teacher: the epoch of {folder} was chosen on the test part, the student's is not; "
            "train the teacher with select_on_test=false"
        )
    if run_key({**plain, "teacher": None}) == result["key"]:
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
    for path in sorted(study.glob("*/config.yaml")):
        known: dict[str, Any] | None = read_yaml(path).get("teacher")
        if known is None or known["asked"] != plain["teacher"]:
            continue
        if run_key({**plain, "teacher": known}) == path.parent.name:
            return known
    return None
