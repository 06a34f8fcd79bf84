"""What a pass shares with other processes: utterances that several stores lack.

`sermm.store.sharing` deals out items of one store. A pass fills several at once, so an item here is
an utterance: it is lacking if any store lacks it, and a claim on it is one claim a store.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sermm.data.batching import BatchPlan
from sermm.engine.extraction.sources import Source
from sermm.engine.extraction.streams import Stream
from sermm.store.features import FeatureStore, Writer
from sermm.store.sharing import Share, SharedWork


@dataclass(frozen=True)
class Wanted:
    """One stream, its store, and the key of every utterance.

    Attributes:
        stream: an encoder, and the positions that it is read at.
        store: where its states are, or will be.
        keys: by utterance id; utterances that sound the same have the same.
    """

    stream: Stream
    store: FeatureStore
    keys: dict[str, str]


@dataclass(frozen=True)
class Mine(Share):
    """Utterances that this process computes now.

    Attributes:
        keys: that it has claimed, by store.
    """

    keys: list[set[str]]


class SharedExtraction(SharedWork[Mine]):
    """Utterances whose features several stores lack.

    Args:
        parts: the stores.
        writers: into each of them, in their order.
        source: what the utterances cost.
        budget_s: cost of a batch, seconds of speech or what is worth as much.
    """

    def __init__(
        self, parts: Sequence[Wanted], writers: Sequence[Writer], source: Source, budget_s: float
    ) -> None:
        super().__init__()
        self.parts, self.writers = parts, writers
        self.source, self.budget_s = source, budget_s

    def batches(self, ids: Sequence[str]) -> Iterator[list[str]]:
        """Alike in length, longest first."""
        for batch in BatchPlan([self.cost(i) for i in ids], seconds=self.budget_s):
            yield [ids[index] for index in batch]

    def claim(self, batch: list[str]) -> Mine:
        """Those of which one store or more lack the features.

        An utterance of which another process has claimed one level is computed for the others here.
        """
        keys = [
            set(writer.claim(list(dict.fromkeys(part.keys[i] for i in batch))))
            for part, writer in zip(self.parts, self.writers, strict=True)
        ]
        pairs = list(zip(self.parts, keys, strict=True))
        return Mine([i for i in batch if any(part.keys[i] in k for part, k in pairs)], keys)

    def lacking(self, ids: list[str]) -> list[str]:
        """Those that a store lacks, as the writers last saw it."""
        return lacking(self.parts, ids)

    def cost(self, item: str) -> float:
        """As its source says."""
        return self.source.cost(item)

    def hand_in(self) -> None:
        """Writes what is buffered: another process may wait for it."""
        for writer in self.writers:
            writer.flush()


def lacking(parts: Sequence[Wanted], ids: Iterable[str]) -> list[str]:
    """Those of the utterances that a store lacks, in their order.

    Args:
        parts: the stores; an utterance counts if any of them lacks it.
        ids: of the utterances.
    """
    ids = list(ids)
    lack = [set(part.store.missing(part.keys[i] for i in ids)) for part in parts]
    pairs = list(zip(parts, lack, strict=True))
    return [i for i in ids if any(part.keys[i] in keys for part, keys in pairs)]
