"""What a teacher says of the training utterances: predicted once, and kept in the student's run."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sermm.configuration.compose import levels_of
from sermm.core.errors import InputError
from sermm.core.files import write_text
from sermm.core.progress import Progress
from sermm.encoders.precision import device_for, precision_for
from sermm.engine.assembly.inference import logits_of
from sermm.engine.assembly.normalisation import observe, observers
from sermm.engine.assembly.restore import restore
from sermm.engine.inputs.corpus import load
from sermm.engine.inputs.work import work_of
from sermm.engine.training.distillation import Distillation, strength
from sermm.engine.training.objectives import Objective
from sermm.engine.training.task import Task, data_module

FILE = "teacher.csv"
# Where a corpus lies, which may have changed since the teacher was trained.
WHERE = ("root", "manifest", "partial")


def distillation(task: Task) -> dict[str, Objective]:
    """The loss against the teacher, if the task has one.

    Raises:
        InputError: the teacher's folder is needed, and gone or broken.
    """
    teacher = task.plain["teacher"]
    if teacher is None:
        return {}
    weight, temperature = strength(task.plain)
    path = task.folder.path / FILE
    if not path.exists():
        write(path, predicted(task), task.loaded.protocol.classes)
    known = read(path)
    if absent := sorted(set(task.fold.train) - set(known)):
        raise InputError(
            f"{path} lacks {len(absent)} training utterances, such as {absent[0]}; delete it, and "
            "the teacher predicts anew"
        )
    return {"distillation": Distillation(known, weight, temperature)}


def predicted(task: Task) -> dict[str, list[float]]:
    """The teacher's log-probabilities of the training utterances, un-augmented.

    Raises:
        InputError: it cannot be restored, or says what is no number.
    """
    folder = Path(task.plain["teacher"]["folder"])
    if not folder.is_dir():
        raise InputError(
            f"the teacher's folder {folder} is gone, and {task.folder.path} has no {FILE} of it "
            "yet; put it back, or say where it is with teacher="
        )
    restored = restore(folder)
    plain = as_today(restored.plain, task.plain)
    loaded, fold = load(plain), task.fold
    everything = dict.fromkeys(fold.train + fold.val + fold.test)
    work = work_of(plain, loaded, everything, levels_of(plain["model"]["system"]))
    data = data_module(work, fold, restored.system)
    if parts := observers(restored.system, "talker"):
        observe(parts, data.loader(tuple(everything)), work.device)
    total_s = sum(work.heard_s(i) for i in fold.train)
    found: dict[str, list[float]] = {}
    device = device_for(plain["trainer"]["accelerator"])
    half = precision_for(plain["trainer"]["precision"], device).startswith("bf16")
    restored.system.to(device)
    with Progress("asking the teacher", total_s) as progress, torch.inference_mode():
        for batch in data.loader(fold.train):
            said = logits_of(restored.system, batch, device, half).log_softmax(-1).cpu()
            if not said.isfinite().all():
                worst = batch.ids[int((~said.isfinite()).any(-1).nonzero()[0])]
                raise InputError(f"the teacher {folder} says no number of utterance {worst}")
            found |= dict(zip(batch.ids, said.tolist(), strict=True))
            progress.advance(sum(work.heard_s(i) for i in batch.ids))
    return found


def as_today(teacher: dict[str, Any], student: dict[str, Any]) -> dict[str, Any]:
    """The teacher's own configuration, with the places and devices of the student's."""
    where = {key: student["data"][key] for key in WHERE if key in student["data"]}
    trainer = {key: student["trainer"][key] for key in ("accelerator", "num_workers")}
    return {
        **teacher,
        "cache_dir": student["cache_dir"],
        "data": {**teacher["data"], **where},
        "align": {**teacher["align"], "mfa_dir": student["align"]["mfa_dir"]},
        # Every clip is heard once.
        "trainer": {**teacher["trainer"], **trainer, "keep_audio_mb": 0},
        "select_on_test": False,
    }


def write(path: Path, found: Mapping[str, Sequence[float]], classes: Sequence[str]) -> None:
    """Writes log-probabilities, sorted by id; nine digits give a 32-bit number back exactly."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["utterance_id", *(f"logp_{c}" for c in classes)])
    rows.writerows([i, *(f"{x:.9g}" for x in found[i])] for i in sorted(found))
    write_text(path, text.getvalue())


def read(path: Path) -> dict[str, list[float]]:
    """Reads them back.

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
    if any(len(said) != width - 1 for said in found.values()):
        raise InputError(f"{path} has rows of other lengths; delete it, it is made anew")
    return found
