"""One run: skip it if finished, resume it if interrupted, else train; then predict and record.

`sermm train` and every job of a sweep come here with one resolved configuration. Which run it is
follows from that configuration alone (`run_key`), so the same words find the same folder: a
finished run is read, an interrupted one goes on after its last whole epoch, and a run that another
process is at is refused by the folder's lock.

A run on several devices has several processes. The first one does all that is written: folder,
status, predictions, result. The others, started by Lightning, torchrun or srun with the same
command, only train along and end.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from sermm.configuration.identity import experiment, settings
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.engine.placing import PlacedRun, place
from sermm.engine.record import record, row_settings
from sermm.engine.training.fit import fit, learn
from sermm.engine.training.task import prepare
from sermm.runs.folder import RunBusyError
from sermm.runs.plans import Note, write_note
from sermm.runs.result import Result
from sermm.runs.slurm.job import await_ready, preflight, say_ready
from sermm.runs.stopping import following, stoppable
from sermm.tracking.watched import tracked


def run(config: RunConfig, overrides: Sequence[str]) -> Result:
    """Trains one system on one fold, or finds that this has been done.

    Args:
        config: of the run.
        overrides: what the user typed, for the report's row names and the sweep's note of the run.

    Returns:
        The result, fresh or as the folder has it. Processes other than the run's first do not
        return: they exit when training is over, with 0 if it went well.

    Raises:
        InputError: the configuration or the corpus is wrong.
        RunBusyError: another process is at it.
        Stopped: a signal ended it; the folder says by what, and the same command resumes it.
    """
    return make(place(config, overrides), overrides)


def make(placed: PlacedRun, overrides: Sequence[str]) -> Result:
    """As `run`, once it is known where the run is.

    Args:
        placed: of the configuration.
        overrides: as in `run`.

    Raises:
        InputError: as `run`, likewise the others.
    """
    if placed.result is not None:
        return placed.result
    # Before the folder is made: with a wrong number of processes nothing should begin.
    line = preflight(placed.config.trainer.devices)
    if rank := process_rank():
        try:
            follow(placed)
        except InputError as error:
            # Lightning starts it by a path that turns no error into a line.
            print(f"process {rank} of the run: {error}", file=sys.stderr, flush=True)
            sys.exit(2)
        sys.exit(0)
    if line is not None:
        print(line, flush=True)
    return carry_out(placed, overrides)


def follow(placed: PlacedRun) -> None:
    """Trains along, as another process of a run that the first one started, on its own device.

    It writes nothing, and predicts nothing: the first process does that when training is over.
    """
    with following():
        await_ready(placed.folder.path)
        task = prepare(placed.config, placed.folder, placed.loaded, placed.fold, follows=True)
        fit(task)


def carry_out(placed: PlacedRun, overrides: Sequence[str]) -> Result:
    """Trains, predicts and records, as the first process of a run.

    Args:
        placed: a run without a result.
        overrides: as in `run`.
    """
    config, folder = placed.config, placed.folder
    new = not folder.path.exists()
    # From here on the run can be seen, and resumed by the same command.
    folder.start(config.as_yaml())
    print(f"{config.data.name}, {config.protocol.name}: {placed.loaded.balance}", flush=True)
    prepared = False
    try:
        with tracked(config, folder.path, row_settings(config, settings(overrides))) as tracker:
            with stoppable(folder, tracker.leaving):
                start_s = time.monotonic()
                task = prepare(config, folder, placed.loaded, placed.fold)
                prepared = True
                tracker.start()
                # The tokenizer of the training transcripts is on the disk now; others may read it.
                say_ready(folder.path)
                learned = learn(task, [tracker])
                result = record(task, settings(overrides), learned, time.monotonic() - start_s)
                result = replace(result, experiment=experiment(overrides))
                folder.finish(result)
            # Only now: what it sends may take long, and the run is finished whatever comes of it.
            tracker.finished(result, placed.loaded.reading.utterances)
    except InputError as error:
        # What is wrong with the words is no run that failed: nothing of it has begun.
        begun = prepared or isinstance(error, RunBusyError)
        if new and not begun and folder.remove():
            write_note(config.study_dir, overrides, Note(error=str(error).partition("\n")[0]))
        raise
    return result


def process_rank() -> int:
    """Which of a run's processes this is, as Lightning, torchrun and Slurm say it.

    Asked before any of them has set up its process group, so only the environment can tell.

    Returns:
        0 for the first process, and where there is only one.
    """
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)
