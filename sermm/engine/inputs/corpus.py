"""From a configuration to a corpus that has been read and whose audio has been heard.

The first step of every verb that needs a corpus. A reader gives utterances as the corpus describes
them; the protocol selects those that it knows a class for; `sermm.data.checks` decodes each of them
once and keeps length and digest. From then on nothing has to be tried: what is in `Loaded` can be
decoded, and what cannot is a `Problem`, counted and listed and in no fold.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sermm.configuration.component import Component
from sermm.configuration.groups import HUMAN
from sermm.configuration.verbs import CorpusConfig
from sermm.core.errors import InputError
from sermm.core.files import place
from sermm.core.records import Fold, Problem, Reading, Utterance
from sermm.core.transcripts import spoken
from sermm.data.checks import check
from sermm.engine.inputs.alternatives import Trial
from sermm.engine.inputs.refusal import unfit
from sermm.protocols.balance import Balance
from sermm.protocols.protocol import NoSuchFoldError
from sermm.protocols.protocol import Protocol as EvaluationProtocol


@runtime_checkable
class Reader(Protocol):
    """What reads a corpus; one with alignments of its own also has `spans(utterance, level)`.

    A protocol and not a base class, so that a reader of somebody's own needs nothing of sermm's but
    the records.
    """

    def read(self) -> Reading:
        """All utterances, and the problems."""
        ...


@dataclass(frozen=True)
class Loaded:
    """A corpus, ready for folds.

    Attributes:
        reader: of the corpus.
        reading: the utterances whose audio is good, and all problems.
        protocol: label scheme and fold rule; it works on the corpus's own transcripts.
        durations: seconds of each utterance.
        digests: of the audio of each utterance.
        texts: what text encoders read of each utterance.
        text_source: where the texts come from (`text.source`), as the result records it.
        balance: of all rows of the corpus, those that take part and those that do not.
        listed: all utterances that the corpus lists, also those that the protocol leaves out.
    """

    reader: Reader
    reading: Reading
    protocol: EvaluationProtocol
    durations: dict[str, float]
    digests: dict[str, str]
    texts: dict[str, str]
    text_source: dict[str, Any]
    balance: Balance
    listed: tuple[Utterance, ...] = ()

    @cached_property
    def targets(self) -> dict[str, str]:
        """The class of each utterance that takes part, by id."""
        return self.protocol.targets(self.reading.utterances)


def load(config: CorpusConfig) -> Loaded:
    """Reads the corpus and listens to every utterance that the protocol selects, once.

    "Once" across processes and runs: a verdict on audio is kept in the cache until the file
    changes.

    Returns:
        The corpus. Its protocol works on the transcripts as they are, so that a fold does not
        depend on `text.source`.

    Raises:
        InputError: the corpus cannot be read, the protocol selects nothing of it, or there are no
            machine transcripts by the name that `text.source` gives.
    """
    # It may be somebody else's to write in: what is kept there can be read all the same.
    with place(Path(config.cache_dir), "cache", "cache_dir", "SERMM_CACHE"):
        Path(config.cache_dir).mkdir(parents=True, exist_ok=True)
    protocol: EvaluationProtocol = config.protocol.make()
    reader, reading = _read(_key(config))
    try:
        selected = chosen(reader, protocol, reading.utterances)
    except InputError as error:
        trial = Trial(config.protocol.as_plain(), reading.utterances, partial(chosen, reader))
        balance = Balance.of(reading, protocol, set() if protocol.aligned else None)
        raise unfit(error, trial, balance, reading.problems) from None
    heard, problems = check(selected, Path(config.cache_dir))
    good = tuple(u for u in selected if u.id in heard)
    balance = Balance.of(reading, protocol, {u.id for u in selected}, problems)
    digests = {i: measured.digest for i, measured in heard.items()}
    texts = {u.id: spoken(u.transcript) for u in good}
    source: dict[str, Any] = {"source": HUMAN}
    if config.text.source != HUMAN:
        from sermm.engine.inputs.texts import texts_of

        texts, source = texts_of(config, good, digests)
    else:
        problems += _without_words(good, texts, {problem.where for problem in reading.problems})
    return Loaded(
        reader,
        replace(reading, utterances=good, problems=reading.problems + problems),
        protocol,
        {i: measured.seconds for i, measured in heard.items()},
        digests,
        texts,
        source,
        balance,
        reading.utterances,
    )


def fold_of(config: CorpusConfig, loaded: Loaded, number: int, seed: int) -> Fold:
    """One fold of a corpus.

    Args:
        config: that the corpus was loaded by.
        loaded: the corpus.
        number: from 1.
        seed: of the run.

    Raises:
        NoSuchFoldError: the protocol has fewer.
        InputError: the protocol does not fit the corpus; says what does.
    """
    with _explained(config, loaded, seed):
        return loaded.protocol.fold(loaded.reading.utterances, number, seed)


def folds_of(config: CorpusConfig, loaded: Loaded, seed: int) -> tuple[Fold, ...]:
    """All folds of a corpus; arguments and errors are those of `fold_of`."""
    with _explained(config, loaded, seed):
        return loaded.protocol.folds(loaded.reading.utterances, seed)


@contextmanager
def _explained(config: CorpusConfig, loaded: Loaded, seed: int) -> Iterator[None]:
    """Adds to a refused fold what the corpus holds and what accepts it (`unfit`)."""
    try:
        yield
    except NoSuchFoldError:
        raise
    except InputError as error:
        # With what the protocol leaves out, which another one may take.
        reader, reading = _read(_key(config))
        good = {u.id for u in loaded.reading.utterances}
        unusable = {u.id for u in chosen(reader, loaded.protocol, reading.utterances)} - good
        usable = tuple(u for u in reading.utterances if u.id not in unusable)
        trial = Trial(config.protocol.as_plain(), usable, partial(chosen, reader), seed)
        raise unfit(error, trial, loaded.balance, loaded.reading.problems) from None


def chosen(
    reader: Reader, protocol: EvaluationProtocol, utterances: Sequence[Utterance]
) -> tuple[Utterance, ...]:
    """The utterances that a protocol takes.

    Args:
        reader: of the corpus; knows which are aligned.
        protocol: selects.
        utterances: all.

    Raises:
        InputError: there are none.
    """
    selected = protocol.select(utterances)
    return aligned(reader, selected, protocol.name) if protocol.aligned else selected


def _without_words(
    utterances: Sequence[Utterance], texts: Mapping[str, str], known: Collection[str]
) -> tuple[Problem, ...]:
    """What text encoders would read as silence, and is not known to be silent.

    Args:
        utterances: that take part.
        texts: what is said in each.
        known: what the reader has told of already.
    """
    if not any(texts.values()):
        what = f"none of {len(utterances)} utterances has a transcript: only speech can be learned"
        return (Problem("transcripts", what, "no_text", kept=True),) if utterances else ()
    lacking = [u.id for u in utterances if u.transcript is None]
    what = (
        f"no transcript ({len(lacking)} of {len(utterances)} utterances have none); text encoders "
        "read an empty line"
    )
    return tuple(Problem(i, what, "missing_text", kept=True) for i in lacking if i not in known)


def aligned(
    reader: Reader, utterances: Sequence[Utterance], protocol: str
) -> tuple[Utterance, ...]:
    """The utterances of which the corpus itself has both words and syllables with times.

    Args:
        reader: of the corpus.
        utterances: those that the protocol selects otherwise.
        protocol: its name, for the message.

    Raises:
        InputError: it has none.
    """
    spans = getattr(reader, "spans", None)
    kept = tuple(u for u in utterances if spans and spans(u, "word") and spans(u, "syllable"))
    if not kept:
        raise InputError(
            f"protocol {protocol} takes utterances with word and syllable alignments of the "
            "corpus's own, and this corpus has none"
        )
    return kept


def _key(config: CorpusConfig) -> str:
    """The reader and its arguments as text: a key of the cache must be hashable."""
    return json.dumps(config.data.as_plain(), sort_keys=True)


@lru_cache(maxsize=4)
def _read(data: str) -> tuple[Reader, Reading]:
    """The reader and what it read, kept for the next run of this process on the same corpus.

    Args:
        data: of `_key`: two mappings with the same content are one key.

    Raises:
        InputError: the class is none that reads a corpus, or it cannot read this one.
    """
    reader = Component.of(json.loads(data)).make()
    reading = reader.read()
    if not isinstance(reading, Reading):
        raise InputError(f"data._target_ must give a reader of a corpus, got {data}")
    return reader, reading
