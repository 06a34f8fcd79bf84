"""One run: skip it if finished, resume it if interrupted, else train; then predict and record."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.engine.config import as_yaml, run_key, settings
from sermm.engine.corpus import load
from sermm.engine.distillation_teacher import with_teacher
from sermm.engine.fit import fit, learn
from sermm.engine.record import record
from sermm.engine.run_folder import RunFolder
from sermm.engine.task import prepare


def run(plain: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Trains one system on one fold, or finds that this has been done.

    Args:
        plain: the resolved configuration.
        overrides: what the user typed, for the report's row names.

    Returns:
        The result, as in `result.json`.

    Raises:
        InputError: the configuration or the corpus is wrong.
        BusyError: another process is at it.
    """
    loaded = load(plain)
    fold = loaded.protocol.fold(loaded.reading.utterances, plain["fold"], plain["seed"])
    plain = with_teacher(plain, loaded.protocol.classes, fold)
    folder = RunFolder(Path(plain["runs_dir"]) / plain["study"] / run_key(plain))
    if (done := folder.result) is not None:
        refuse_other_corpus(done, fold, folder)
        return done
    if process_rank():
        # Another process of this run, started by the first one to train on its own device.
        fit(prepare(plain, folder, loaded, fold, follows=True))
        sys.exit(0)
    folder.start(as_yaml(plain))
    with folder.running():
        start_s = time.monotonic()
        task = prepare(plain, folder, loaded, fold)
        epochs = learn(task)
        result = record(task, settings(overrides), epochs, time.monotonic() - start_s)
        folder.finish(result)
    return result


def process_rank() -> int:
    """Which of a run's processes this is, as Lightning, torchrun and Slurm say it."""
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)


def refuse_other_corpus(done: dict[str, Any], fold: Fold, folder: RunFolder) -> None:
    """A finished run whose fold held other utterances is not the run that was asked for.

    Raises:
        InputError: the folds differ.
    """
    if done["split_digest"] != fold.digest:
        raise InputError(
            f"{folder.path} is finished, but its fold held other utterances than the corpus has "
            "now (another copy, or part of one); use another study=, or delete that folder"
        )
