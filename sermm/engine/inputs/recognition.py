"""One process at recognising what a store of transcripts lacks.

Several processes share the work by claims: each takes what is neither stored nor claimed, and waits
in the end for what others are still at. Each batch is kept as soon as it is done, so that a process
that is killed loses one batch. Text by text the result is the same however many take part: what a
recogniser hears in an utterance does not depend on its batch mates.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from sermm.configuration.verbs import TranscribeConfig
from sermm.core.progress import Progress
from sermm.core.ragged import Ragged
from sermm.core.records import Utterance
from sermm.data.audio import AudioError
from sermm.data.audio import load as load_audio
from sermm.data.batching import BatchPlan
from sermm.encoders.precision import device_for
from sermm.engine.inputs.corpus import Loaded
from sermm.recognisers.base import Recogniser
from sermm.store.claims import Claims, claims_of
from sermm.store.items import ItemStore
from sermm.store.sharing import Share, SharedWork


@dataclass
class Transcribed:
    """What a call found and did.

    Attributes:
        name: texts are chosen by `text.source=asr:<name>`.
        recogniser: of them.
        identity: what determines them.
        texts: by utterance id.
        stored: distinct recordings whose text was there.
        computed: those recognised by this process.
        seconds: audio that this process recognised.
        took_s: time that took, without loading the model.
        windowed: utterances too long to be heard at once.
        failures: utterances that could not be read, with the reason.
    """

    name: str
    recogniser: Recogniser
    identity: dict[str, Any]
    texts: dict[str, str] = field(default_factory=dict)
    stored: int = 0
    computed: int = 0
    seconds: float = 0.0
    took_s: float = 0.0
    windowed: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class Recognition(SharedWork[Share]):
    """Recognises, and keeps each batch as soon as it is done.

    Its items are digests of audio, not utterances: what sounds the same is recognised once.

    Args:
        config: of the verb.
        loaded: the corpus.
        store: where texts go; `begin` has been called.
        todo: an utterance for each digest that the store lacks.
        done: what is done is noted here.
    """

    def __init__(
        self,
        config: TranscribeConfig,
        loaded: Loaded,
        store: ItemStore,
        todo: Mapping[str, Utterance],
        done: Transcribed,
    ) -> None:
        super().__init__()
        self._store, self._todo, self._done = store, todo, done
        self._claims = Claims(store.folder)
        self._budget_s = config.batch_seconds
        self._most_s = done.identity["max_seconds"]
        self._device = device_for(config.accelerator)
        self._heard_s = {
            key: min(loaded.durations[u.id], self._most_s or loaded.durations[u.id])
            for key, u in todo.items()
        }

    def run(self) -> None:
        """Does the work; returns when nothing is missing that could be read.

        Raises:
            InputError: the recogniser cannot be had.
        """
        recogniser = self._done.recogniser.to(self._device)
        recogniser.load()
        begun = time.monotonic()
        total_s = math.fsum(self._heard_s.values())
        with (
            Progress(f"Recognising ({self._done.name})", total_s) as bar,
            claims_of(self._store.folder) as self._claims,
        ):
            self._claims.join()
            for share in self.shares(list(self._todo), bar):
                if share is not None:
                    self._recognise(recogniser, share.ids)
                    bar.advance(math.fsum(self._heard_s[key] for key in share.ids))
        self._done.took_s = time.monotonic() - begun

    def _recognise(self, recogniser: Recogniser, keys: Sequence[str]) -> None:
        """Keeps the texts of a batch, and gives its claims back.

        Claims are given back after the texts are on the disk: who takes one then finds the text.
        """
        waveforms = self._read(keys)
        if waveforms:
            texts = recogniser.transcribe(Ragged.pack(list(waveforms.values())))
            self._store.add(dict(zip(waveforms, texts, strict=True)))
        self._claims.release(keys)
        self._done.computed += len(waveforms)
        self._done.seconds += math.fsum(self._heard_s[key] for key in waveforms)

    def batches(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """Alike in length, longest first.

        Under `recogniser.batch_seconds` of what the recogniser works through, which is more than is
        heard where it pads (Whisper: 30 s a window).
        """
        costs = [self._done.recogniser.cost_s(self._heard_s[key]) for key in ids]
        for batch in BatchPlan(costs, seconds=self._budget_s):
            yield [ids[index] for index in batch]

    def claim(self, batch: list[str]) -> Share:
        """Those of a batch that nobody else has recognised or is at."""
        claimed = [key for key in batch if self._claims.take(key)]
        # Who had the claim until just now may have stored the text.
        mine = self.lacking(claimed)
        self._claims.release(set(claimed) - set(mine))
        return Share(mine)

    def lacking(self, ids: list[str]) -> list[str]:
        """Those without a text, as the store is now; what others have added since counts."""
        self._store.refresh()
        return [key for key in ids if key not in self._store.items]

    def cost(self, item: str) -> float:
        """Seconds that are heard of it: progress is shown as speech, not as utterances."""
        return self._heard_s[item]

    def _read(self, keys: Iterable[str]) -> dict[str, Tensor]:
        """Waveforms by key; what cannot be read is noted.

        The audio was good when the corpus was checked; a file that has gone since is no reason to
        stop.

        Args:
            keys: digests of a batch.

        Returns:
            Samples at 16 kHz, float32, cut at `max_seconds`.
        """
        found = {}
        for key in keys:
            u = self._todo[key]
            try:
                found[key] = load_audio(u.path, u.start_s, u.end_s, self._most_s)
            except AudioError as error:
                self._done.failures[u.id] = str(error)
        return found
