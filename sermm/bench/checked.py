"""What `sermm bench checked` measures: comparing stored features with their checksums.

A process compares every item once, when it first reads it (`sermm.store.features`), so the first
epoch of a run pays and the later ones do not. Beside a whole epoch of late fusion that Lightning
trains on the same features, which the system's cache holds.
"""

import pickle
import time
from collections.abc import Sequence

from sermm.bench.cached import CachedWorkload, Corpus
from sermm.bench.epoch import lightning_epochs
from sermm.bench.measures import Measurement, scratch
from sermm.bench.timing import ratio
from sermm.store.features import FeatureStore

# The shortest run that `trainer.patience` lets end by itself has one more.
_PATIENCE = 8


def checked_case() -> list[Measurement]:
    """An epoch of three streams, twelve layers of float16."""
    with scratch() as root:
        return checked(Corpus(root, CachedWorkload()))


def checked(corpus: Corpus) -> list[Measurement]:
    """Times of comparing and of an epoch, in turns, and what the one adds to the other."""
    compared, read, epochs = [], [], []
    for turn in range(corpus.workload.turns):
        # As a new process has them: nothing has been read.
        stores = [pickle.loads(pickle.dumps(s.store)) for s in corpus.streams.values()]
        compared.append(serve(corpus, stores))
        read.append(serve(corpus, stores))
        task = corpus.task(f"checked{turn}", "late_fusion", tuple(corpus.streams))
        epochs.append(lightning_epochs(task, n=1))
    extra_s, epoch_s, n = max(0.0, min(compared) - min(read)), min(epochs), 1 + _PATIENCE
    return [
        Measurement("checked", "reading an epoch, compared", min(compared), "s"),
        Measurement("checked", "reading an epoch again", min(read), "s"),
        Measurement("checked", "late fusion epoch: Lightning and store", epoch_s, "s"),
        Measurement("checked", "ratio: first epoch to later", 1 + ratio(extra_s, epoch_s), "x"),
        Measurement(
            "checked",
            f"ratio: {n} epochs, compared to not",
            1 + ratio(extra_s, n * epoch_s),
            "x",
            1.03,
        ),
    ]


def serve(corpus: Corpus, stores: Sequence[FeatureStore]) -> float:
    """Seconds that it takes to read every utterance of every stream, batch after batch.

    Args:
        corpus: knows the keys and the order.
        stores: of its streams, in their order.
    """
    order, size = corpus.shuffled(), corpus.workload.batch
    keys = [stream.keys for stream in corpus.streams.values()]
    start_s = time.perf_counter()
    for first in range(0, len(order), size):
        for store, named in zip(stores, keys, strict=True):
            store.read([named[i] for i in order[first : first + size]])
    return time.perf_counter() - start_s
