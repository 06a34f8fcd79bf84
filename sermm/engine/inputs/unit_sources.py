"""Where units come from: the corpus, TextGrids, aligners that listen, or the whole utterance.

Two kinds of source. Those that read (`CorpusSource`, `MfaSource`, `WholeSource`) answer at once and
keep nothing. Those that listen (`HeardSource`) take minutes for an hour of speech, so what they
find is kept under `cache_dir/alignments` by the digests of audio, text and aligner: another
transcript is aligned anew, the same one never.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from sermm.configuration.verbs import AlignedConfig
from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.progress import Progress
from sermm.core.ragged import Ragged
from sermm.core.records import Level, Span, Utterance
from sermm.data.audio import load as load_audio
from sermm.data.batching import BatchPlan
from sermm.encoders.precision import device_for
from sermm.engine.inputs.corpus import Loaded
from sermm.store.items import ItemStore
from sermm.units.aligned import Aligned
from sermm.units.textgrid import TextGrids

CORPUS: Final = "corpus"
MFA: Final = "mfa"
CTC: Final = "ctc"
POCKETSPHINX: Final = "pocketsphinx"
WHOLE: Final = "whole"
NAMES: Final = (CORPUS, MFA, CTC, POCKETSPHINX, WHOLE)

# Seconds of audio in a batch of the CTC model; results do not depend on it.
_BATCH_S: Final = 60.0
# What is found is on the disk so many seconds later.
_EVERY_S: Final = 10.0


class Source(ABC):
    """Gives units of utterances.

    Attributes:
        name: `Span.source` of its units.
        syllables: the same of syllables that are made of its phones.
    """

    name: str
    syllables: str

    @abstractmethod
    def align(
        self, utterances: Sequence[Utterance], levels: Collection[Level]
    ) -> Iterator[tuple[Utterance, Aligned]]:
        """What it has, utterance by utterance, in any order; a level it lacks may be absent.

        Args:
            utterances: those that no source before it has all levels of.
            levels: that are wanted; a source may give others too, which cost it nothing.
        """


class CorpusSource(Source):
    """The corpus's own files; nothing if its reader has none.

    Args:
        reader: of the corpus; asked for `spans(utterance, level)`.
    """

    name = CORPUS
    syllables = "corpus_phones"

    def __init__(self, reader: object) -> None:
        self._spans: Callable[[Utterance, Level], tuple[Span, ...]] | None
        self._spans = getattr(reader, "spans", None)

    def align(
        self, utterances: Sequence[Utterance], levels: Collection[Level]
    ) -> Iterator[tuple[Utterance, Aligned]]:
        """Reads a level only if it is asked for, or if syllables have to be made of it."""
        if self._spans is None:
            return
        for u in utterances:
            found = {level: self._spans(u, level) for level in levels}
            # Wanted, and the corpus has none: its phones, within its words, can make some.
            if not found.get("syllable", True):
                for level in ("phone", "word"):
                    found[level] = found.get(level) or self._spans(u, level)
            yield u, Aligned(found)


class MfaSource(Source):
    """TextGrids, found by the ids of utterances or the paths of their audio.

    Args:
        folder: what the Montreal Forced Aligner wrote (`align.mfa_dir`).
        loaded: the corpus.
    """

    name = syllables = MFA

    def __init__(self, folder: str, loaded: Loaded) -> None:
        self._grids = TextGrids(folder, loaded.listed or loaded.reading.utterances)

    def align(
        self, utterances: Sequence[Utterance], levels: Collection[Level]
    ) -> Iterator[tuple[Utterance, Aligned]]:
        """Both tiers, whatever is asked for."""
        del levels
        return ((u, self._grids.align(u)) for u in utterances)


class WholeSource(Source):
    """One unit without a symbol.

    Args:
        durations: seconds by utterance id.
    """

    name = syllables = WHOLE

    def __init__(self, durations: Mapping[str, float]) -> None:
        self._durations = durations

    def align(
        self, utterances: Sequence[Utterance], levels: Collection[Level]
    ) -> Iterator[tuple[Utterance, Aligned]]:
        """All levels, so that nothing is made of anything."""
        for u in utterances:
            end_s = self._durations[u.id]
            yield u, Aligned({level: (Span("", 0.0, end_s, level, WHOLE),) for level in levels})


class HeardSource(Source):
    """An aligner that listens; what it has found is kept by content.

    It gives all levels that it can find, whatever was asked for: listening is what takes time, and
    the next run may want the others.

    Args:
        loaded: the corpus.
        cache_dir: where findings are kept.
        identity: what determines them: models, options and versions, JSON values only.

    Attributes:
        title: of its progress.
    """

    title: ClassVar[str]

    def __init__(self, loaded: Loaded, cache_dir: str, identity: dict[str, Any]) -> None:
        self._loaded = loaded
        folder = Path(cache_dir) / "alignments" / digest(identity)[:16]
        self._identity = identity
        self._store = ItemStore(folder, "alignments", "delete it", _EVERY_S)
        for message in self._store.damaged.values():
            print(f"{message}; what it held is aligned again", file=sys.stderr)

    def align(
        self, utterances: Sequence[Utterance], levels: Collection[Level]
    ) -> Iterator[tuple[Utterance, Aligned]]:
        """All that it can; listens only to what it has not heard yet.

        An utterance in which it found nothing is kept as such, and not heard again.
        """
        del levels
        keys = {u.id: digest([self._loaded.digests[u.id], self._text(u)]) for u in utterances}
        todo = {keys[u.id]: u for u in utterances if keys[u.id] not in self._store.items}
        if todo:
            self._hear(todo)
        for u in utterances:
            yield u, Aligned.from_json(self._store.items[keys[u.id]], u.id, self.name)

    def _hear(self, todo: Mapping[str, Utterance]) -> None:
        """Aligns these, by key, and keeps what it finds, also when it is stopped.

        Args:
            todo: an utterance for each key; those of the same sound and text are one.
        """
        keys = {u.id: key for key, u in todo.items()}
        total_s = sum(self._seconds(u) for u in todo.values())
        self._store.begin(self._identity, {})
        try:
            with Progress(self.title, total_s) as bar:
                for u, aligned in self.listen(list(todo.values())):
                    self._store.add({keys[u.id]: aligned.to_json()})
                    bar.advance(self._seconds(u))
        finally:
            self._store.flush()

    @abstractmethod
    def listen(self, utterances: Sequence[Utterance]) -> Iterator[tuple[Utterance, Aligned]]:
        """Aligns these, in any order.

        Raises:
            AudioError: a file has gone since the corpus was checked.
        """

    def _text(self, u: Utterance) -> str:
        """What is said, by `text.source`: the words of a human or of a machine."""
        return self._loaded.texts[u.id]

    def _seconds(self, u: Utterance) -> float:
        return self._loaded.durations[u.id]


class SphinxSource(HeardSource):
    """PocketSphinx: words and phones.

    Args:
        config: has `align.pocketsphinx` and the cache.
        loaded: the corpus.

    Raises:
        InputError: PocketSphinx is not installed, or the dictionary cannot be read.
    """

    name = syllables = POCKETSPHINX
    title = "Aligning (pocketsphinx)"

    def __init__(self, config: AlignedConfig, loaded: Loaded) -> None:
        from sermm.recognisers.sphinx_aligner import SphinxAligner

        self._aligner = SphinxAligner(config.align.pocketsphinx.dictionary)
        super().__init__(loaded, config.cache_dir, self._aligner.identity)

    def listen(self, utterances: Sequence[Utterance]) -> Iterator[tuple[Utterance, Aligned]]:
        """One by one."""
        for u in utterances:
            samples = load_audio(u.path, u.start_s, u.end_s).numpy()
            yield u, self._aligner.align(u.id, samples, self._text(u))


class CtcSource(HeardSource):
    """A CTC recogniser: words.

    Args:
        config: has `align.ctc`, the device and the cache.
        loaded: the corpus.

    Raises:
        InputError: the model cannot be had.
    """

    name = syllables = CTC
    title = "Aligning (ctc)"

    def __init__(self, config: AlignedConfig, loaded: Loaded) -> None:
        from sermm.recognisers.ctc import CTCModel
        from sermm.recognisers.ctc_alignment import CtcAligner

        model = CTCModel(config.align.ctc.id, config.align.ctc.revision, key="align.ctc")
        self._aligner = CtcAligner(model.to(device_for(config.device)))
        super().__init__(loaded, config.cache_dir, self._aligner.identity)

    def listen(self, utterances: Sequence[Utterance]) -> Iterator[tuple[Utterance, Aligned]]:
        """Batches of like length, longest first."""
        for batch in BatchPlan([self._seconds(u) for u in utterances], seconds=_BATCH_S):
            members = [utterances[index] for index in batch]
            audio = Ragged.pack([load_audio(u.path, u.start_s, u.end_s) for u in members])
            ids, texts = [u.id for u in members], [self._text(u) for u in members]
            yield from zip(members, self._aligner.align(ids, audio, texts), strict=True)


def make_source(name: str, config: AlignedConfig, loaded: Loaded) -> Source:
    """A source by name.

    Args:
        name: one of `NAMES`.
        config: what it is made of.
        loaded: the corpus.

    Raises:
        InputError: it is not known, or cannot be had as configured.
    """
    folder = config.align.mfa_dir
    if name == MFA and folder is None:
        raise InputError("align.sources names mfa; set align.mfa_dir=FOLDER with its TextGrids")
    # Calls, not sources: only the one that is asked for may load a model.
    made: dict[str, Callable[[], Source]] = {
        CORPUS: lambda: CorpusSource(loaded.reader),
        MFA: lambda: MfaSource(str(folder), loaded),
        CTC: lambda: CtcSource(config, loaded),
        POCKETSPHINX: lambda: SphinxSource(config, loaded),
        WHOLE: lambda: WholeSource(loaded.durations),
    }
    if name not in made:
        raise InputError(f"align.sources: {name!r} is none of {', '.join(NAMES)}")
    return made[name]()
