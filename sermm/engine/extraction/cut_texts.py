"""How many transcripts are cut: those that are longer than `encoder.text.max_tokens`.

A live encoder has a tokenizer to ask. Where features are stored there is none, and loading one in
every run would take longer than reading the features: only if an item is as long as an item can be
is its text tokenized again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sermm.data.dataset import StoredStream
from sermm.engine.extraction.streams import Stream
from sermm.models.base import System


def cut_texts(
    system: System,
    texts: Mapping[str, str],
    streams: Sequence[Stream] = (),
    stored: Mapping[str, StoredStream] | None = None,
) -> int:
    """The number of texts that are cut; 0 where none is read.

    Args:
        system: with live encoders, or with stored features in their place.
        texts: what is said, by utterance.
        streams: those of the system that are stored.
        stored: where they lie, by name.

    Raises:
        InputError: a tokenizer that is needed cannot be had.
    """
    if (encoder := system.text_encoder) is not None:
        return sum(encoder.cut([*texts.values()]))
    token_streams = [stream for stream in streams if stream.level == "token"]
    return max(
        (_cut(stream, (stored or {})[stream.name], texts) for stream in token_streams), default=0
    )


def _cut(stream: Stream, where: StoredStream, texts: Mapping[str, str]) -> int:
    most = stream.encoder.given("max_tokens")
    full = [text for i, text in texts.items() if where.store.length(where.keys[i]) == most]
    encoder: Any = stream.encoder.object
    return sum(encoder.cut_of(full, **stream.encoder.arguments)) if full else 0
