"""What an encoder reads of each utterance while features are extracted: audio or text."""

from collections.abc import Sequence

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.data.audio import SAMPLE_RATE_HZ, AudioError, load
from sermm.encoders.base import Encoder, TextEncoder
from sermm.engine.inputs.batches import as_ids
from sermm.engine.inputs.work import Work

# A token costs a text encoder about what a frame costs a speech encoder.
_SECONDS_A_TOKEN = 0.02


class Spoken:
    """Audio, decoded and cut."""

    def __init__(self, work: Work, encoder: Encoder) -> None:
        self._work, self._encoder = work, encoder

    def cost(self, utterance_id: str) -> float:
        """Seconds of speech."""
        return self._work.heard_s(utterance_id)

    def positions(self, utterance_id: str) -> int:
        """Frames."""
        return self._encoder.positions(round(self._work.heard_s(utterance_id) * SAMPLE_RATE_HZ))

    def batch(self, ids: Sequence[str]) -> tuple[Batch | None, dict[str, str]]:
        """Waveforms and units."""
        good, failures = {}, {}
        for i in ids:
            u = self._work.utterances[i]
            try:
                good[i] = load(u.path, u.start_s, u.end_s, self._work.most_s)
            except AudioError as error:
                failures[i] = str(error)
        if not good:
            return None, failures
        units = {
            level: Ragged.pack([times[i] for i in good])
            for level, times in self._work.units.items()
        }
        return Batch(tuple(good), Ragged.pack(list(good.values())), units=units), failures


class Written:
    """Token ids of the texts, tokenized at once."""

    def __init__(self, work: Work, encoder: TextEncoder, ids: Sequence[str]) -> None:
        rows = encoder.tokenize([work.loaded.texts[i] for i in ids])
        self._tokens = dict(zip(ids, rows, strict=True))

    def cost(self, utterance_id: str) -> float:
        """What so many tokens cost."""
        return _SECONDS_A_TOKEN * len(self._tokens[utterance_id])

    def positions(self, utterance_id: str) -> int:
        """Tokens."""
        return len(self._tokens[utterance_id])

    def batch(self, ids: Sequence[str]) -> tuple[Batch | None, dict[str, str]]:
        """Token ids; nothing can fail."""
        return Batch(tuple(ids), tokens=Ragged.pack([as_ids(self._tokens[i]) for i in ids])), {}


Source = Spoken | Written
