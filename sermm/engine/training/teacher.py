"""Which finished run teaches a student, and whether it may."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sermm.configuration.compose import read_yaml
from sermm.configuration.groups import TeacherRecord
from sermm.configuration.identity import run_key
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.models.base import CountingSystem
from sermm.report.tables.rows import FLOORS
from sermm.runs.folder import RunFolder, find_run
from sermm.runs.reading.folders import find_study

# What the runs of a study are told apart by, when it has one for each fold and seed.
PLACE = ("data", "protocol", "fold", "seed")
# What of a teacher's result the student's configuration says.
KEPT = ("key", "system", "seed", "split_digest", "model", "variant", "parameters")


def with_teacher(config: RunConfig, classes: Sequence[str], fold: Fold) -> RunConfig:
    """The configuration of a student with what its teacher is, in place of how it was named.

    The run's key follows from the teacher's key and split, so that the folder may be named in any
    way, and may be gone once the student has what it needs of it.

    Raises:
        InputError: there is no such run, several are meant, or this one may not teach it.
    """
    word = config.teacher
    if not isinstance(word, str):
        return config
    _refuse_counting(config)
    try:
        folder = teacher_folder(word, config)
    except InputError:
        if (known := _recorded(config)) is None:
            raise
        print(f"teacher={word} is not to be had; taken from the run's record", file=sys.stderr)
        return _taught_by(config, known)
    result = _finished(folder)
    refuse_teacher(folder, result, config, list(classes), fold)
    record = TeacherRecord(
        asked=word,
        folder=str(folder.resolve()),
        ua=result["metrics"]["test/ua"],
        **{name: result[name] for name in KEPT},
    )
    return _taught_by(config, record)


def _taught_by(config: RunConfig, teacher: TeacherRecord) -> RunConfig:
    return config.changed({"teacher": teacher.model_dump()})


def teacher_folder(word: str, config: RunConfig) -> Path:
    """The run folder that a word names: a folder, a key, STUDY or STUDY:MODEL KEY=VALUE ...

    Raises:
        InputError: there is no such run, or several are meant.
    """
    runs_dir = Path(config.runs_dir)
    for folder in (runs_dir / word, Path(word)):
        if any((folder / name).is_file() for name in ("config.yaml", "status.json")):
            return folder
        if word and folder.is_dir():
            return _of_study(folder, "", config)
    if ":" in word:
        study, _, wanted = word.partition(":")
        return _of_study(find_study(study, runs_dir), wanted, config)
    try:
        return find_run(word, runs_dir)
    except InputError as error:
        raise InputError(f"teacher={word} is no study in {runs_dir} either: {error}") from error


def _of_study(study: Path, wanted: str, config: RunConfig) -> Path:
    """The one finished run of a study that is at the student's place and fits the words.

    Without words it is the one that neither is a floor nor had a teacher itself.
    """
    place = {
        "data": config.data.name,
        "protocol": config.protocol.name,
        "fold": config.fold,
        "seed": config.seed,
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
    config: RunConfig,
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
    if result["data"] != config.data.name:
        raise InputError(
            f"teacher: {folder} was trained on {result['data']}, the student is on "
            f"{config.data.name}; choose a run on the same corpus"
        )
    if result["classes"] != classes:
        raise InputError(
            f"teacher: {folder} knows the classes {result['classes']}, the student has {classes}; "
            "choose a run with the same classes in the same order"
        )
    if result["split_digest"] != fold.digest:
        theirs = f"{result['protocol']} fold {result['fold']}, seed {result['seed']}"
        ours = f"{config.protocol.name} fold {config.fold}, seed {config.seed}"
        raise InputError(
            f"teacher: {folder} is of {theirs}, the student of {ours}: their parts hold other "
            "utterances, so that it may have been trained on what the student is tested on; name "
            "the study, and each fold finds its own teacher"
        )
    if result["selection"] == "test" and not config.select_on_test:
        raise InputError(
            f"teacher: the epoch of {folder} was chosen on the test part, the student's is not; "
            "train the teacher with select_on_test=false"
        )
    if run_key(config.changed({"teacher": None})) == result["key"]:
        raise InputError(
            f"teacher: {folder} is this very run, but for the teacher; choose another run, or "
            "train another model"
        )


def _refuse_counting(config: RunConfig) -> None:
    if issubclass(config.model.system.object, CountingSystem):
        raise InputError(
            f"model {config.model.name} counts and has no loss that a teacher could enter; "
            "leave teacher= out, or choose another model="
        )


def _recorded(config: RunConfig) -> TeacherRecord | None:
    """The teacher of the student's run of an earlier time, if the same words began it."""
    for path in sorted(config.study_dir.glob("*/config.yaml")):
        kept = read_yaml(path).get("teacher")
        if not isinstance(kept, Mapping) or kept.get("asked") != config.teacher:
            continue
        known = TeacherRecord.read(kept, "teacher")
        if run_key(_taught_by(config, known)) == path.parent.name:
            return known
    return None
