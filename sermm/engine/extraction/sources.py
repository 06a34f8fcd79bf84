"""What an encoder reads of each utterance while features are extracted: audio or text.

Both answer alike: what an utterance costs (for batches and progress), how many positions it will
have (for the size on the disk), and a batch of some of them. They read what training would read,
cut where it would be cut; varied audio or words are never stored.
"""

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
    """Audio, decoded and cut.

    Args:
        work: the utterances and their units.
        encoder: knows how many frames a number of samples gives.
    """

    def __init__(self, work: Work, encoder: Encoder) -> None:
        self._work, self._encoder = work, encoder

    def cost(self, utterance_id: str) -> float:
        """Seconds of speech."""
        return self._work.heard_s(utterance_id)

    def positions(self, utterance_id: str) -> int:
        """Frames: a number that the encoder tells without running."""
        return self._encoder.positions(round(self._work.heard_s(utterance_id) * SAMPLE_RATE_HZ))

    def batch(self, ids: Sequence[str]) -> tuple[Batch | None, dict[str, str]]:
        """Waveforms and units.

        Args:
            ids: of the utterances.

        Returns:
            A batch of those that could be read (None if none could), and the reasons for the others
            by id.
        """
        good, failures = {}, {}
        most_s = self._work.config.trainer.max_seconds
        for i in ids:
            u = self._work.utterances[i]
            try:
                good[i] = load(u.path, u.start_s, u.end_s, most_s)
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
    """Token ids of the texts, tokenized at once.

    Args:
        work: has the texts.
        encoder: tokenizes.
        ids: of the utterances whose states are missing.
    """

    def __init__(self, work: Work, encoder: TextEncoder, ids: Sequence[str]) -> None:
        self._encoder = encoder
        rows = encoder.tokenize([work.loaded.texts[i] for i in ids])
        self._tokens = dict(zip(ids, rows, strict=True))

    def cost(self, utterance_id: str) -> float:
        """What so many tokens cost, in seconds of speech, so that one budget serves both kinds."""
        return _SECONDS_A_TOKEN * len(self._tokens[utterance_id])

    def positions(self, utterance_id: str) -> int:
        """Tokens, or one where the encoder pools them."""
        return self._encoder.positions(len(self._tokens[utterance_id]))

    def batch(self, ids: Sequence[str]) -> tuple[Batch | None, dict[str, str]]:
        """Token ids; nothing can fail."""
        return Batch(tuple(ids), tokens=Ragged.pack([as_ids(self._tokens[i]) for i in ids])), {}


Source = Spoken | Written
