"""Which finished run teaches a student, and whether it may.

`sermm.engine.placing.place` asks before there is a run folder, as the student's key depends on its
teacher: a word such as a study's name becomes a record of one run in the student's configuration.
What has to be refused here is a leak: a teacher that has seen the student's test part would hand on
what it knows of it.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sermm.configuration.compose import read_yaml
from sermm.configuration.groups import TeacherRecord
from sermm.configuration.identity import run_key
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.models.base import CountingSystem
from sermm.runs.find import finished_runs, named, only
from sermm.runs.folder import RunFolder
from sermm.runs.layout import CONFIG
from sermm.runs.result import Result

# What of a teacher's result the student's configuration says.
KEPT = ("key", "system", "seed", "split_digest", "model", "variant")


def with_teacher(config: RunConfig, classes: Sequence[str], fold: Fold) -> RunConfig:
    """The configuration of a student with what its teacher is, in place of how it was named.

    The run's key follows from the teacher's key and split, so that the folder may be named in any
    way, and may be gone once the student has what it needs of it.

    Args:
        config: of the student; without a teacher, or with one that was found before, it stays.
        classes: of the student's protocol, in the order of its logits.
        fold: of the student.

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
    try:
        result = RunFolder(folder).finished()
    except InputError as error:
        raise InputError(f"teacher: {error}") from error
    refuse_teacher(folder, result, config, list(classes), fold)
    record = TeacherRecord(
        asked=word,
        folder=str(folder.resolve()),
        parameters={k: n for k, n in asdict(result.parameters).items() if n is not None},
        ua=result.test_ua,
        **{name: getattr(result, name) for name in KEPT},
    )
    return _taught_by(config, record)


def _taught_by(config: RunConfig, teacher: TeacherRecord) -> RunConfig:
    return config.changed({"teacher": teacher.model_dump()})


def teacher_folder(word: str, config: RunConfig) -> Path:
    """The run folder that a word names (see `sermm.runs.find`), at the student's place.

    The place is corpus, protocol, fold and seed, so that a sweep names a study once and each of
    its runs finds its own teacher. Without words it is the one that neither is a floor nor had a
    teacher itself.

    Args:
        word: `teacher=`, a run, a study, or a study and what of it.
        config: of the student.

    Raises:
        InputError: there is no such run, or several are meant.
    """
    try:
        found = named(word, Path(config.runs_dir))
    except InputError as error:
        raise InputError(f"teacher={word}: {error}") from error
    if found.wanted is None:
        return found.folder
    place = {
        "data": config.data.name,
        "protocol": config.protocol.name,
        "fold": config.fold,
        "seed": config.seed,
    }
    here = [
        run
        for run in finished_runs(found, place)
        if all(getattr(run.result, name) == value for name, value in place.items())
    ]
    # One that had a teacher is meant only if it is said.
    students_too = "teacher=" in found.wanted
    own = [
        run for run in here if run.result.parts is None and (students_too or not run.result.teacher)
    ]
    return only(own, found, ", ".join(f"{name} {value}" for name, value in place.items())).folder


def refuse_teacher(
    folder: Path,
    result: Result,
    config: RunConfig,
    classes: list[str],
    fold: Fold,
) -> None:
    """A teacher must know the student's classes, and nothing of its validation and test parts.

    Args:
        folder: of the teacher, for errors.
        result: of the teacher.
        config: of the student.
        classes: of the student, in their order.
        fold: of the student.

    Raises:
        InputError: it may not teach this student.
    """
    _refuse_no_system(folder, result)
    result.refuse_withheld(f"teacher={folder}")
    _refuse_other_classes(folder, result, config, classes)
    _refuse_seen_test(folder, result, config, fold)
    if run_key(config.changed({"teacher": None})) == result.key:
        raise InputError(
            f"teacher: {folder} is this very run, but for the teacher; choose another run, or "
            "train another model"
        )


def _refuse_no_system(folder: Path, result: Result) -> None:
    """There must be one system with weights that has learned more than frequencies."""
    if result.parts is not None:
        raise InputError(
            f"teacher: {folder} is a combination and has no weights; use one of its parts: "
            f"{', '.join(result.parts)}"
        )
    if result.floor:
        raise InputError(f"teacher: {folder} is the floor {result.model}; choose a system")


def _refuse_other_classes(
    folder: Path, result: Result, config: RunConfig, classes: list[str]
) -> None:
    """Log-probabilities are matched by position, so classes must agree in their order too."""
    if result.data != config.data.name:
        raise InputError(
            f"teacher: {folder} was trained on {result.data}, the student is on "
            f"{config.data.name}; choose a run on the same corpus"
        )
    if list(result.classes) != classes:
        raise InputError(
            f"teacher: {folder} knows the classes {list(result.classes)}, the student has "
            f"{classes}; choose a run with the same classes in the same order"
        )


def _refuse_seen_test(folder: Path, result: Result, config: RunConfig, fold: Fold) -> None:
    """Nothing of what the student is chosen and tested on may have formed the teacher."""
    if result.split_digest != fold.digest:
        theirs = f"{result.protocol} fold {result.fold}, seed {result.seed}"
        ours = f"{config.protocol.name} fold {config.fold}, seed {config.seed}"
        raise InputError(
            f"teacher: {folder} is of {theirs}, the student of {ours}: their parts hold other "
            "utterances, so that it may have been trained on what the student is tested on; name "
            "the study, and each fold finds its own teacher"
        )
    if result.selection == "test" and not config.select_on_test:
        raise InputError(
            f"teacher: the epoch of {folder} was chosen on the test part, the student's is not; "
            "train the teacher with select_on_test=false"
        )


def _refuse_counting(config: RunConfig) -> None:
    """A student must learn by gradient."""
    if issubclass(config.model.system.object, CountingSystem):
        raise InputError(
            f"model {config.model.name} counts and has no loss that a teacher could enter; "
            "leave teacher= out, or choose another model="
        )


def _recorded(config: RunConfig) -> TeacherRecord | None:
    """The teacher of the student's run of an earlier time, if the same words began it.

    So a finished or half-trained student needs no teacher's folder any more. The run is recognised
    by its key: with this teacher, the configuration must come to the name of the run's folder.
    """
    for path in sorted(config.study_dir.glob(f"*/{CONFIG}")):
        kept = read_yaml(path).get("teacher")
        if not isinstance(kept, Mapping) or kept.get("asked") != config.teacher:
            continue
        known = TeacherRecord.read(kept, "teacher")
        if run_key(_taught_by(config, known)) == path.parent.name:
            return known
    return None
