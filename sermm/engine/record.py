"""Predictions and result of a trained task: what the report reads.

The last step of a run, done by its first process alone. It writes `predictions.csv` and returns
what becomes `result.json`. A `Result` holds all that tables need, so that a report never opens a
configuration, a checkpoint or the corpus; what stands in it is a copy, true of the code and the
corpus that made the run even when these have changed since.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypedDict

from sermm.configuration.groups import ModelConfig
from sermm.configuration.identity import feature_options, system_key
from sermm.configuration.verbs import RunConfig
from sermm.core.figures import percent
from sermm.core.records import Fold
from sermm.encoders.precision import device_for
from sermm.engine.assembly.remedies import settings_of
from sermm.engine.cost import cost
from sermm.engine.extraction.streams import streams
from sermm.engine.scoring import other_epoch, predicted
from sermm.engine.setup import parameters, setup_of
from sermm.engine.training.callbacks import overfit_at
from sermm.engine.training.distillation import taught, teacher_setting
from sermm.engine.training.fit import Learned
from sermm.engine.training.task import Task
from sermm.runs.result import Counts, Epochs, Published, Result, Seconds
from sermm.runs.versions import git_state, versions


class EvaluationSetting(TypedDict):
    """Corpus, protocol and fold, by the names of `Result`.

    Runs are only compared where these agree. A `TypedDict` and not a dictionary, so that the fields
    are checked where the result is made.
    """

    data: str
    protocol: str
    protocol_notes: str
    leaky: bool
    headline: str
    classes: tuple[str, ...]
    fold: int
    n_folds: int
    seed: int
    split_digest: str
    balance: dict[str, Any]


def record(task: Task, overrides: dict[str, str], learned: Learned, train_s: float) -> Result:
    """Predicts validation and test part by the chosen weights; writes and returns the record.

    With `withhold_test` the test part is not predicted.

    Args:
        task: trained; its system has the weights of the chosen epoch.
        overrides: the user's settings without fold, seed and study, which name a row of a table.
        learned: which epoch was chosen and which was the last.
        train_s: seconds of wall clock until now, those of preparing the task included; of a
            resumed run only those of this process.

    Returns:
        The record; writing it is left to `RunFolder.finish`, which comes last of all.
    """
    start_s = time.monotonic()
    device = device_for(task.config.device)
    metrics = predicted(task, device)
    other = other_epoch(task, learned, metrics, device)
    predict_s = time.monotonic() - start_s
    seconds = Seconds(train=train_s, predict=predict_s, total=train_s + predict_s)
    result = outcome(task, overrides, metrics, learned.epochs, seconds)
    overfit = overfit_at(task.folder.path, learned.epochs.best)
    result = replace(with_options(result, task), other_epoch=other)
    return replace(result, cost=cost(task, device), overfit=overfit)


def outcome(
    task: Task,
    overrides: dict[str, str],
    metrics: dict[str, float | None],
    epochs: Epochs,
    seconds: Seconds,
) -> Result:
    """What a run is and what it came to, without options and cost: what every run has.

    `overrides` is as in `record`, `epochs` are those of its `learned`, `metrics` of `predicted`.
    """
    config, model = task.config, task.config.model
    return Result(
        key=task.folder.path.name,
        study=config.study,
        system=system_key(config),
        model=model.name,
        floor=task.system.floor,
        variant=model.variant,
        settings=row_settings(config, overrides),
        setup=(setup_of(config, task.system, task.varied),),
        **setting_of(task),
        metrics=metrics,
        parameters=parameters(config, task.system),
        seconds=seconds,
        epochs=epochs,
        selection=selection(config, task.fold),
        withheld=config.withhold_test,
        text_source=text_source(task.loaded.text_source) if reads_text(task) else None,
        notes=model.notes,
        published=tuple(map(Published.of, model.published)),
        papers=list(model.papers),
        curves=list(model.curves),
        counts=counts(task),
        versions=versions(),
        git=git_state(),
    )


def with_options(result: Result, task: Task) -> Result:
    """The result with what was on in training and what was read, each None where it was not.

    Tables tell rows apart by `settings`, what the user typed; these are the options in full, with
    the defaults that nobody typed.
    """
    config = task.config
    return replace(
        result,
        text_source_record=task.loaded.text_source if reads_text(task) else None,
        features=feature_options(config),
        augment=task.varied,
        remedies=settings_of(task.remedies) or None,
        teacher=taught(config),
        distillation=config.distillation.model_dump() if config.taught_by else None,
        unit_sources={level: dict(counts) for level, counts in task.unit_sources.items()},
    )


def setting_of(task: Task) -> EvaluationSetting:
    """Where the scores of a task belong in a report.

    `leaky` and `protocol_notes` are the protocol's own words, so that a table can warn of what it
    shows without knowing the protocol.
    """
    protocol, fold = task.loaded.protocol, task.fold
    return {
        "data": task.config.data.name,
        "protocol": protocol.name,
        "protocol_notes": protocol.notes,
        "leaky": protocol.leaky,
        "headline": protocol.headline,
        "classes": tuple(protocol.classes),
        "fold": fold.number,
        "n_folds": protocol.n_folds(task.loaded.reading.utterances),
        "seed": task.config.seed,
        "split_digest": fold.digest,
        "balance": asdict(task.loaded.balance),
    }


def counts(task: Task) -> Counts:
    """Utterances of the parts, those whose sound or text was cut, and problems of the corpus."""
    fold = task.fold
    return Counts(
        train=len(fold.train),
        val=len(fold.val),
        test=len(fold.test),
        cut=task.data.cut,
        cut_texts=task.cut_texts,
        problems=len(task.loaded.reading.problems),
    )


def row_settings(config: RunConfig, overrides: Mapping[str, str]) -> dict[str, str]:
    """The settings that name a row of a table: `overrides`, streams, teacher, step of a ladder."""
    step = {} if config.step is None else {"step": config.step}
    return {**overrides, **chosen_streams(config.model), **teacher_setting(config), **step}


def chosen_streams(model: ModelConfig) -> dict[str, str]:
    """The streams as a setting, so that rows are told apart by them whoever chose them.

    A user may name them, or an experiment or paper may: the row is the same.

    Returns:
        Nothing where the model has no choice, or where its only stream is named by a level.
    """
    if model.streams is None or model.level is not None:
        return {}
    return {"model.streams": f"[{','.join(model.streams)}]"}


def reads_text(task: Task) -> bool:
    """Whether the system reads what is said, live or from the store.

    With stored features the system has no text encoder any more, only what one has made of texts.
    """
    stored = streams(task.config) if task.config.features.mode == "cached" else []
    return task.system.text_encoder is not None or any(s.level == "token" for s in stored)


def text_source(record: Mapping[str, Any]) -> str:
    """Where texts come from, for people: `human`, or the recogniser with its word error rate.

    Args:
        record: `Loaded.text_source`; `wer` is a fraction, None where no human transcript is known.
    """
    wer = record.get("wer")
    return str(record["source"]) + ("" if wer is None else f" (WER {percent(wer)} %)")


def selection(config: RunConfig, fold: Fold) -> str:
    """What chose the epoch: test (only if asked for), val, or nothing (the last epoch).

    Stamped on every table: with `select_on_test` the score has seen what it is tested on.
    """
    if config.select_on_test:
        return "test"
    return "val" if fold.val and config.trainer.test_epoch == "best" else "last"
