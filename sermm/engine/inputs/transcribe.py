"""What is said, by machine: recognised once, kept by content, and scored against the human's."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from sermm.core.errors import InputError
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.recognition import Recognition, Transcribed
from sermm.engine.inputs.texts import transcript_store
from sermm.recognisers.base import Recogniser

# Not the recogniser's business, but that of who runs it.
_NOT_ITS_OWN = {"_target_", "name", "batch_seconds"}


def transcribe(plain: Mapping[str, Any], loaded: Loaded, recogniser: Recogniser) -> Transcribed:
    """Recognises what is missing.

    Args:
        plain: a resolved configuration with `recogniser`, `accelerator`, `max_seconds` and
            `cache_dir`.
        loaded: the corpus.
        recogniser: of `make_recogniser`.

    Raises:
        InputError: the recogniser cannot be had, or the name belongs to another one.
    """
    most_s = _positive(plain["max_seconds"], "max_seconds")
    _positive(plain["recogniser"]["batch_seconds"], "recogniser.batch_seconds")
    name = plain["recogniser"]["name"] or recogniser.name
    identity = {**recogniser.identity, "max_seconds": most_s}
    done = Transcribed(name, recogniser, identity)
    store = transcript_store(plain["cache_dir"], name)
    store.refuse_other(identity)
    for message in store.damaged.values():
        print(f"{message}; what it held is recognised again", file=sys.stderr)
    distinct = {loaded.digests[u.id]: u for u in loaded.reading.utterances}
    todo = [key for key in distinct if key not in store.items]
    done.stored = len(distinct) - len(todo)
    if todo:
        store.begin(identity, _asked(plain["recogniser"], name))
        Recognition(plain, loaded, store, {key: distinct[key] for key in todo}, done).run()
    for u in loaded.reading.utterances:
        if (text := store.items.get(loaded.digests[u.id])) is not None:
            done.texts[u.id] = text
    heard = [min(s, most_s or s) for i, s in loaded.durations.items() if i in done.texts]
    done.windowed = sum(recogniser.window_s is not None and s > recogniser.window_s for s in heard)
    return done


def make_recogniser(config: Mapping[str, Any]) -> Recogniser:
    """The recogniser that a configuration describes.

    Raises:
        InputError: it cannot be had.
    """
    options = {key: value for key, value in config.items() if key not in _NOT_ITS_OWN}
    made = get_class(config["_target_"])(**options)
    if not isinstance(made, Recogniser):
        raise InputError(f"recogniser._target_ is no Recogniser: {config['_target_']}")
    return made


def _positive(value: Any, key: str) -> float | None:
    if value is None and key == "max_seconds":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise InputError(f"{key}={value}: expected a number of seconds above 0")
    return float(value)


def _asked(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The configuration of a recogniser, such that it can be asked for from anywhere."""
    place = config.get("id")
    if place is not None and Path(place).expanduser().is_dir():
        return {**config, "name": name, "id": str(Path(place).expanduser().resolve())}
    return {**config, "name": name}
