"""Predictions of a trained task and their scores: of the epoch it is scored with, and of another.

A run predicts validation and test part by the weights of its chosen epoch, which it keeps. With
`trainer.test_epoch=last` that is the last epoch, and what the epoch that validation chose comes to
is recorded beside it, so that both can be read.
"""

from collections.abc import Iterator, Sequence

import torch

from sermm.core.batch import Batch
from sermm.engine.assembly.build import read_weights
from sermm.engine.assembly.inference import predict
from sermm.engine.training.fit import Learned
from sermm.engine.training.task import Task
from sermm.runs.predictions import Prediction, named, score, write_predictions
from sermm.runs.result import OtherEpoch


def predicted(task: Task, device: torch.device) -> dict[str, float | None]:
    """Predicts and writes validation and test part; their scores by the names of `Result`.

    Each utterance is predicted once, also where a protocol's validation part is its test part; then
    its row says `test`.

    Args:
        task: trained.
        device: where to predict.

    Returns:
        Fractions such as `test/ua`; those of `val/` are absent without a validation part, those of
        `test/` where it is withheld.
    """
    loaded, fold = task.loaded, task.fold
    found = predictions(task, device)
    by_id = {u.id: u for u in loaded.reading.utterances}
    targets, classes = loaded.targets, loaded.protocol.classes
    write_predictions(task.folder.path, found, _splits(task), by_id, targets, classes, fold.number)
    return scores(task, found)


def other_epoch(
    task: Task, learned: Learned, metrics: dict[str, float | None], device: torch.device
) -> OtherEpoch | None:
    """What the epoch that validation chose comes to; the system keeps the weights that it has.

    Args:
        task: trained, and predicted.
        learned: which epochs there are.
        metrics: those of the epoch that the run is scored with.
        device: where to predict.

    Returns:
        None where the run is scored with that epoch, or no validation has chosen one.

    Raises:
        InputError: its weights are gone or damaged.
    """
    number = learned.by_validation
    if number is None:
        return None
    if number != learned.epochs.best:
        read_weights(task.system, task.folder.other)
        metrics = scores(task, predictions(task, device))
        read_weights(task.system, task.folder.best)
    return OtherEpoch(number, "val", metrics)


def predictions(task: Task, device: torch.device) -> list[Prediction]:
    """Of validation and test part, apart from each other, by the weights that the system has."""
    # One process predicts everything, however many have trained.
    task.data.trainer = None
    return predict(task.system, _batches(task), device, task.config.trainer.precision)


def scores(task: Task, found: Sequence[Prediction]) -> dict[str, float | None]:
    """Scores of both parts, by the names of `Result`, as far as they were predicted."""
    splits, classes = _splits(task), task.loaded.protocol.classes
    metrics: dict[str, float | None] = {}
    for split in ("val", "test"):
        part = [p for p in found if splits[p.utterance_id] == split]
        if part:
            metrics |= named(score(part, task.loaded.targets, classes), classes, split)
    return metrics


def _batches(task: Task) -> Iterator[Batch]:
    """Of each part by itself, so that no batch has utterances of both: padding may matter."""
    splits = _splits(task)
    for split in ("val", "test"):
        if ids := tuple(i for i, part in splits.items() if part == split):
            yield from task.data.loader(ids)


def _splits(task: Task) -> dict[str, str]:
    """The part of each utterance that is to be predicted, in the order of the fold.

    With `select_on_test` the test part has validated, and the batches have no other.
    """
    fold, withheld = task.fold, task.config.withhold_test
    return {
        **dict.fromkeys(() if task.config.select_on_test else fold.val, "val"),
        **dict.fromkeys(() if withheld else fold.test, "test"),
    }
