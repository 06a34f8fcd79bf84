"""Fills the feature store with what is missing, and hands on streams that are whole."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sermm.core.errors import InputError
from sermm.data.dataset import StoredStream
from sermm.engine.extraction.one_pass import Extracted, Pass, Wanted
from sermm.engine.extraction.streams import Stream
from sermm.engine.inputs.work import Work
from sermm.store.features import FeatureStore


def features_root(cache_dir: str) -> Path:
    """Where all feature stores lie."""
    return Path(cache_dir) / "features"


def wanted(streams: Sequence[Stream], work: Work) -> list[Wanted]:
    """The store and the keys of every stream; damaged parts of a store are named and left out.

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
