"""What is said, by machine: recognised once, kept by content, and scored against the human's.

What `sermm transcribe` does. A store of transcripts is named by a person and belongs to one
recogniser with all its options: what would give other texts is refused, not mixed in. Texts are
kept by the digest of the audio, so a recording is recognised once, whatever corpus and however many
utterances it is in, and a call that was interrupted goes on with what is missing.
"""

import sys
from pathlib import Path

from sermm.configuration.component import Component
from sermm.configuration.verbs import TranscribeConfig
from sermm.core.errors import InputError
from sermm.core.transcripts import composed
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.recognition import Recognition, Transcribed
from sermm.engine.inputs.texts import transcript_store
from sermm.recognisers.base import Recogniser

# Not the recogniser's business, but that of who runs it.
_NOT_ITS_OWN = ("name", "batch_seconds")


def transcribe(config: TranscribeConfig, loaded: Loaded, recogniser: Recogniser) -> Transcribed:
    """Recognises what is missing.

    Args:
        config: of the verb.
        loaded: the corpus.
        recogniser: of `make_recogniser`; its weights are loaded only if something is missing.

    Returns:
        The texts of all utterances that have one now, and what this call did for them. Audio that
        cannot be read is among its failures; it raises nothing.

    Raises:
        InputError: the recogniser cannot be had, or the name belongs to another one.
    """
    most_s = config.max_seconds
    name = str(config.recogniser.given("name") or recogniser.name)
    identity = {**recogniser.identity, "max_seconds": most_s}
    done = Transcribed(name, recogniser, identity)
    store = transcript_store(config.cache_dir, name)
    store.refuse_other(identity)
    for message in store.damaged.values():
        print(f"{message}; what it held is recognised again", file=sys.stderr)
    # Of utterances with the same samples one is heard.
    distinct = {loaded.digests[u.id]: u for u in loaded.reading.utterances}
    todo = [key for key in distinct if key not in store.items]
    done.stored = len(distinct) - len(todo)
    if todo:
        store.begin(identity, _asked(config.recogniser, name).as_plain())
        Recognition(config, loaded, store, {key: distinct[key] for key in todo}, done).run()
    for u in loaded.reading.utterances:
        if (text := store.items.get(loaded.digests[u.id])) is not None:
            done.texts[u.id] = composed(text)
    # What was cut at `max_seconds` counts with what is left of it.
    heard = [min(s, most_s or s) for i, s in loaded.durations.items() if i in done.texts]
    done.windowed = sum(recogniser.window_s is not None and s > recogniser.window_s for s in heard)
    return done


def make_recogniser(config: Component) -> Recogniser:
    """The recogniser that a configuration describes.

    Cheap: it is made before the corpus is heard, so that a wrong name costs seconds.

    Args:
        config: of the recogniser, with `name` and `batch_seconds`, which are not its arguments.

    Raises:
        InputError: it cannot be had.
    """
    made = config.without(*_NOT_ITS_OWN).make()
    if not isinstance(made, Recogniser):
        raise InputError(f"recogniser._target_ is no Recogniser: {config.target}")
    return made


def _asked(config: Component, name: str) -> Component:
    """The configuration of a recogniser, such that it can be asked for from anywhere.

    Kept in the store for the command that `texts_of` gives: a path relative to this folder would
    name nothing there.
    """
    named, place = config.with_arguments(name=name), config.given("id")
    if place is not None and Path(place).expanduser().is_dir():
        return named.with_arguments(id=str(Path(place).expanduser().resolve()))
    return named
