"""What a teacher says of the training utterances: predicted once, and kept in the student's run.

The file `teacher.csv` has a row for each training utterance: its id, and the log-probability of
each class. It outlives a restart of the student, and the teacher's folder. So each epoch costs no
pass of the teacher, which may be many times as large as its student; in return the teacher hears
utterances as they are, while the student's may be augmented.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.files import write_text
from sermm.core.progress import Progress
from sermm.encoders.precision import precision_for
from sermm.engine.assembly.inference import logits_of
from sermm.engine.assembly.restore import restore
from sermm.engine.fold_data import restored_fold
from sermm.engine.inputs.corpus import load
from sermm.engine.training.distillation import Distillation
from sermm.engine.training.objectives import Objective
from sermm.engine.training.task import Task

FILE = "teacher.csv"
# Where a corpus lies, which may have changed since the teacher was trained.
WHERE = ("root", "manifest", "partial")


def distillation(task: Task) -> dict[str, Objective]:
    """The loss against the teacher, if the task has one.

    Returns:
        The loss by its name in `metrics.csv`; empty without a teacher.

    Raises:
        InputError: the teacher's folder is needed, and gone or broken.
    """
    teacher, strength = task.config.taught_by, task.config.distillation
    if teacher is None:
        return {}
    path = task.folder.path / FILE
    if not path.exists():
        write(path, predicted(task, Path(teacher.folder)), task.loaded.protocol.classes)
    known = read(path)
    if absent := sorted(set(task.fold.train) - set(known)):
        raise InputError(
            f"{path} lacks {len(absent)} training utterances, such as {absent[0]}; delete it, and "
            "the teacher predicts anew"
        )
    return {"distillation": Distillation(known, strength.weight, strength.temperature)}


def predicted(task: Task, folder: Path) -> dict[str, list[float]]:
    """The teacher's log-probabilities of the training utterances, un-augmented.

    Args:
        task: of the student, whose device, workers and corpus are used.
        folder: of the teacher's run.

    Returns:
        Natural logarithms at temperature 1 by utterance id, in the order of the classes.

    Raises:
        InputError: it cannot be restored, or says what is no number.
    """
    if not folder.is_dir():
        raise InputError(
            f"the teacher's folder {folder} is gone, and {task.folder.path} has no {FILE} of it "
            "yet; put it back, or say where it is with teacher="
        )
    restored = restore(folder)
    config = as_today(restored.config, task.config)
    # The student's fold, of which the teacher has been found to be.
    ready = restored_fold(restored, config, load(config), task.fold, task.fold.train)
    total_s = sum(ready.work.heard_s(i) for i in task.fold.train)
    found: dict[str, list[float]] = {}
    device = ready.work.device
    half = precision_for(config.trainer.precision, device).startswith("bf16")
    restored.system.to(device)
    with Progress("asking the teacher", total_s) as progress, torch.inference_mode():
        for batch in ready.data.loader(task.fold.train):
            logp = logits_of(restored.system, batch, device, half).log_softmax(-1).cpu()
            if not logp.isfinite().all():
                worst = batch.ids[int((~logp.isfinite()).any(-1).nonzero()[0])]
                raise InputError(f"the teacher {folder} says no number of utterance {worst}")
            found |= dict(zip(batch.ids, logp.tolist(), strict=True))
            progress.advance(sum(ready.work.heard_s(i) for i in batch.ids))
    return found


def as_today(teacher: RunConfig, student: RunConfig) -> RunConfig:
    """The teacher's own configuration, with the places and devices of the student's.

    What the teacher hears and reads stays its own: features, units, texts, `max_seconds`.

    Args:
        teacher: as its run folder has it, perhaps from another machine.
        student: whose corpus, cache and device are there now.
    """
    where = {f"data.{key}": student.data.given(key) for key in WHERE if student.data.has(key)}
    return teacher.changed(
        {
            **where,
            "cache_dir": student.cache_dir,
            "align.mfa_dir": student.align.mfa_dir,
            "trainer.accelerator": student.trainer.accelerator,
            "trainer.num_workers": student.trainer.num_workers,
            # Every clip is heard once.
            "trainer.keep_audio_mb": 0,
            "select_on_test": False,
        }
    )


def write(path: Path, found: Mapping[str, Sequence[float]], classes: Sequence[str]) -> None:
    """Writes log-probabilities, sorted by id; nine digits give a 32-bit number back exactly.

    Args:
        path: of the file, which appears whole or not at all.
        found: `[k]` by utterance id.
        classes: k names, for the header.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["utterance_id", *(f"logp_{c}" for c in classes)])
    rows.writerows([i, *(f"{x:.9g}" for x in found[i])] for i in sorted(found))
    write_text(path, text.getvalue())


def read(path: Path) -> dict[str, list[float]]:
    """Reads them back.

    Returns:
        `[k]` by utterance id, in the order of the file's columns.

    Raises:
        InputError: the file is not as it was written.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        width = len(next(rows, []))
        try:
            found = {row[0]: [float(x) for x in row[1:]] for row in rows}
        except (ValueError, IndexError) as error:
            raise InputError(f"{path} is broken ({error}); delete it, it is made anew") from error
    if any(len(logp) != width - 1 for logp in found.values()):
        raise InputError(f"{path} has rows of other lengths; delete it, it is made anew")
    if any(not math.isfinite(x) for logp in found.values() for x in logp):
        raise InputError(f"{path} holds what is no number; delete it, it is made anew")
    return found
