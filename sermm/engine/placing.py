"""Where the run of a configuration is made: its corpus, its fold and its folder.

Imports no Lightning, which takes longer than all that is done here: a sweep places its runs while
the fork server of its jobs gets ready.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sermm.configuration.identity import run_key
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.engine.assembly.encoders import encoded_by, encoder_configs
from sermm.engine.inputs.corpus import Loaded, fold_of, load
from sermm.engine.training.refusals import (
    refuse_adapters,
    refuse_arguments,
    refuse_devices,
    refuse_nothing_scored,
)
from sermm.engine.training.teacher import with_teacher
from sermm.protocols.protocol import NoSuchFoldError
from sermm.runs.folder import RunFolder
from sermm.runs.plans import Note, job_id, write_note
from sermm.runs.result import Result


@dataclass(frozen=True)
class PlacedRun:
    """A run: its configuration, corpus, fold and folder, and its result if it has been made.

    Attributes:
        config: as it was asked for, with the teacher found (`sermm.engine.training.teacher`).
        loaded: the corpus, read and heard.
        fold: of the protocol, by `config.fold` and the seed.
        folder: where the run is, or will be; nothing need be there yet.
        result: what it came to; None while it is not finished.
    """

    config: RunConfig
    loaded: Loaded
    fold: Fold
    folder: RunFolder
    result: Result | None


def place(config: RunConfig, overrides: Sequence[str]) -> PlacedRun:
    """Where the run of a configuration is made; nothing is written but a sweep's note of it.

    Also for those who only want to know how a run stands: a pool places each run first, so that a
    process is started only for what is left to do.

    Args:
        config: of the run; a teacher may be named in any way that finds a run.
        overrides: the words of the run, which identify it within its sweep.

    Returns:
        The run, with its result if it is finished.

    Raises:
        InputError: the configuration or the corpus is wrong, or has changed since the run was made.
    """
    study = config.study_dir
    key: str | None = None
    try:
        refuse_arguments(config)
        refuse_adapters(config)
        loaded, fold = corpus_and_fold(config)
        refuse_nothing_scored(config, fold)
        config = with_teacher(config, loaded.protocol.classes, fold)
        key = run_key(config)
        folder = RunFolder(study / key, job_id(overrides))
        result = folder.result
        if result is not None:
            refuse_other_corpus(result, fold, folder)
        else:
            refuse_devices(config.trainer)
    except InputError as error:
        # A sweep over protocols asks all of them for the same folds; that is no failure.
        left_out = isinstance(error, NoSuchFoldError)
        first_line = str(error).partition("\n")[0]
        write_note(study, overrides, Note(error=first_line, left_out=left_out, begun=key))
        raise
    write_note(study, overrides, Note(begun=key) if result is None else Note(key=result.key))
    return PlacedRun(config, loaded, fold, folder, result)


def refuse_other_corpus(done: Result, fold: Fold, folder: RunFolder) -> None:
    """A finished run whose fold held other utterances is not the run that was asked for.

    The key is of the configuration, which says what a corpus is called but not what lies there: a
    half-copied corpus has the same key. The digest of the fold's ids tells them apart.

    Args:
        done: the finished run.
        fold: of the corpus as it is now.
        folder: of the run, for the message.

    Raises:
        InputError: the folds differ.
    """
    if done.split_digest != fold.digest:
        raise InputError(
            f"{folder.path} is finished, but its fold held other utterances than the corpus has "
            "now (another copy, or part of one); use another study=, or delete that folder"
        )


def corpus_and_fold(config: RunConfig) -> tuple[Loaded, Fold]:
    """The corpus and the fold of a run.

    Args:
        config: names corpus, protocol, fold and seed.

    Returns:
        The corpus (a process lets its reader read once) and the fold: the same ids wherever the
        corpus holds the same utterances.

    Raises:
        InputError: the corpus cannot be read, or has no texts for a system that reads them, or the
            protocol has no such fold.
    """
    loaded = load(config)
    refuse_without_words(config, loaded)
    return loaded, fold_of(config, loaded, config.fold, config.seed)


def refuse_without_words(config: RunConfig, loaded: Loaded) -> None:
    """Finds a system that would learn from texts of a corpus that has none.

    Args:
        config: of the run.
        loaded: the corpus.

    Raises:
        InputError: all texts are empty, an encoder reads them, and `text.allow_empty` is not set.
    """
    if config.text.allow_empty or any(loaded.texts.values()):
        return
    if any(encoded_by(one) == "text" for one in encoder_configs(config.model).values()):
        raise InputError(
            f"none of the {len(loaded.texts)} utterances of {config.data.name} has a transcript, "
            f"and {config.model.name} reads texts. Say where they are (for a table: a column text, "
            "or data.columns.text=THEIRS), have them recognised (sermm transcribe, then "
            "text.source=asr:NAME), or choose a system of speech, such as model=speech_only; "
            "text.allow_empty=true trains on empty texts"
        )
