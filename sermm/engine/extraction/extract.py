"""Fills the feature store with what is missing, and hands on streams that are whole.

A frozen encoder gives the same states in every epoch and every run, so they are computed once and
read from then on. What is there and what is missing is asked of the store, by content; there is no
list of what has been done that could be wrong. Stopped at any moment, the next call goes on.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sermm.core.errors import InputError
from sermm.data.dataset import StoredStream
from sermm.engine.extraction.one_pass import Extracted, Pass
from sermm.engine.extraction.shared import Wanted
from sermm.engine.extraction.streams import Stream
from sermm.engine.inputs.work import Work
from sermm.store.features import FeatureStore


def features_root(cache_dir: str) -> Path:
    """Where all feature stores lie."""
    return Path(cache_dir) / "features"


def wanted(streams: Sequence[Stream], work: Work) -> list[Wanted]:
    """The store and the keys of every stream; damaged parts of a store are named and left out.

    Args:
        streams: of a system, or of `sermm extract`.
        work: the utterances.

    Raises:
        InputError: an encoder cannot be had, or a store is of a newer version.
    """
    found = []
    for stream in streams:
        store = FeatureStore(features_root(work.config.cache_dir), stream.description(work.config))
        for message in store.check():
            print(f"{message}; what it held is computed again", file=sys.stderr)
        found.append(Wanted(stream, store, stream.keys(work)))
    return found


def extract(parts: Sequence[Wanted], work: Work, dry_run: bool = False) -> list[Extracted]:
    """Computes what is missing, one pass for each encoder; `dry_run` only counts and measures.

    Streams of one encoder (frames, phones, words) share a pass: the encoder is what takes time, not
    the means over its frames. Streams with the same store are computed once.

    Args:
        parts: of `wanted`.
        work: the utterances.
        dry_run: nothing is computed or written; the encoders are loaded to know their sizes.

    Returns:
        What came of each pass.

    Raises:
        InputError: it does not fit on the disk, or an encoder cannot be had.
    """
    groups: dict[str, dict[str, Wanted]] = {}
    for part in parts:
        encoder = json.dumps(part.stream.encoder.as_plain(), sort_keys=True)
        groups.setdefault(encoder, {}).setdefault(part.store.name, part)
    return [Pass(list(group.values()), work).run(dry_run) for group in groups.values()]


def ready(streams: Sequence[Stream], work: Work) -> dict[str, StoredStream]:
    """The streams by name, with every utterance stored, for training.

    Args:
        streams: of the system.
        work: the utterances of all parts of the fold.

    Returns:
        Stores and keys, from which the data loaders read.

    Raises:
        InputError: an utterance has no features and cannot get any.
    """
    parts = wanted(streams, work)
    for done in extract(parts, work):
        if done.failures:
            first, why = next(iter(done.failures.items()))
            raise InputError(
                f"{len(done.failures)} utterances have no features (first: {first}: {why}); the "
                "others are stored. Mend those files, and give the same command again"
            )
    return {part.stream.name: StoredStream(part.store, part.keys) for part in parts}
