"""From a configuration to a corpus that has been read and whose audio has been heard."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from sermm.core.errors import InputError
from sermm.core.records import Reading
from sermm.data.checks import check
from sermm.data.protocol import Protocol


@dataclass(frozen=True)
class Loaded:
    """A corpus, ready for folds.

    Attributes:
        reading: the utterances whose audio is good, and all problems.
        protocol: label scheme and fold rule.
        durations: seconds of each utterance.
    """

    reading: Reading
    protocol: Protocol
    durations: dict[str, float]


def load(plain: dict[str, Any]) -> Loaded:
    """Reads the corpus and listens to every utterance that the protocol selects, once.

    Args:
        plain: a resolved configuration with `data`, `protocol` and `cache_dir`.

    Raises:
        InputError: the corpus cannot be read, or the protocol selects nothing of it.
    """
    protocol: Protocol = instantiate(plain["protocol"], _convert_="all")
    return _load(json.dumps(plain["data"], sort_keys=True), plain["cache_dir"], protocol)


@lru_cache(maxsize=4)
def _read(data: str) -> Reading:
    reading = instantiate(json.loads(data), _convert_="all").read()
    if not isinstance(reading, Reading):
        raise InputError(f"data._target_ must give a reader of a corpus, got {data}")
    return reading


def _load(data: str, cache_dir: str, protocol: Protocol) -> Loaded:
    reading = _read(data)
    selected = protocol.select(reading.utterances)
    durations, problems = check(selected, Path(cache_dir))
    good = tuple(u for u in selected if u.id in durations)
    return Loaded(Reading(good, reading.problems + problems), protocol, durations)
