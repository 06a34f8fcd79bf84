"""One run: skip it if finished, resume it if interrupted, else train; then predict and record."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sermm.configuration.identity import run_key, settings
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.engine.fold_data import corpus_and_fold
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.record import record
from sermm.engine.training.fit import fit, learn
from sermm.engine.training.task import prepare
from sermm.engine.training.teacher import with_teacher
from sermm.protocols.protocol import NoSuchFoldError
from sermm.runs.folder import RunFolder
from sermm.runs.plans import Note, forget_note, job_id, write_note
from sermm.runs.result import Result
from sermm.runs.slurm_job import await_ready, preflight, say_ready
from sermm.runs.stopping import following, stoppable
from sermm.tracking.tracker import tracked


@dataclass(frozen=True)
class PlacedRun:
    """A run: its configuration, corpus, fold and folder, and its result if it has been made."""

    config: RunConfig
    loaded: Loaded
    fold: Fold
    folder: RunFolder
    result: Result | None


def run(config: RunConfig, overrides: Sequence[str]) -> Result:
    """Trains one system on one fold, or finds that this has been done.

    Args:
        config: of the run.
        overrides: what the user typed, for the report's row names.

    Returns:
        The result.

    Raises:
        InputError: the configuration or the corpus is wrong.
        RunBusyError: another process is at it.
    """
    placed = place(config, overrides)
    if placed.result is not None:
        return placed.result
    config, loaded, fold, folder = placed.config, placed.loaded, placed.fold, placed.folder
    line = preflight(config.trainer.devices)
    if process_rank():
        # Another process of this run, started by the first one to train on its own device.
        with following():
            await_ready(folder.path)
            fit(prepare(config, folder, loaded, fold, follows=True))
        sys.exit(0)
    if line is not None:
        print(line, flush=True)
    folder.start(config.as_yaml())
    with tracked(config, folder.path) as tracker:
        with stoppable(folder):
            tracker.start()
            start_s = time.monotonic()
            task = prepare(config, folder, loaded, fold)
            say_ready(folder.path)
            epochs = learn(task, [tracker])
            result = record(task, settings(overrides), epochs, time.monotonic() - start_s)
            folder.finish(result)
        # Only now: what it sends may take long, and the run is finished whatever comes of it.
        tracker.finished(result, loaded.reading.utterances)
    return result


def place(config: RunConfig, overrides: Sequence[str]) -> PlacedRun:
    """Where the run of a configuration is made; nothing is written but a sweep's note of it.

    Raises:
        InputError: the configuration or the corpus is wrong, or has changed since the run was made.
    """
    study = config.study_dir
    try:
        loaded, fold = corpus_and_fold(config)
        config = with_teacher(config, loaded.protocol.classes, fold)
        folder = RunFolder(study / run_key(config), job_id(overrides))
        result = folder.result
        if result is not None:
            refuse_other_corpus(result, fold, folder)
    except InputError as error:
        left_out = isinstance(error, NoSuchFoldError)
        write_note(study, overrides, Note(error=str(error), left_out=left_out))
        raise
    if result is None:
        forget_note(study, overrides)
    else:
        write_note(study, overrides, Note(key=result.key))
    return PlacedRun(config, loaded, fold, folder, result)


def process_rank() -> int:
    """Which of a run's processes this is, as Lightning, torchrun and Slurm say it."""
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)


def refuse_other_corpus(done: Result, fold: Fold, folder: RunFolder) -> None:
    """A finished run whose fold held other utterances is not the run that was asked for.

    Raises:
        InputError: the folds differ.
    """
    if done.split_digest != fold.digest:
        raise InputError(
            f"{folder.path} is finished, but its fold held other utterances than the corpus has "
            "now (another copy, or part of one); use another study=, or delete that folder"
        )
