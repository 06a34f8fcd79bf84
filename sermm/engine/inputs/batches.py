"""What the batches of a task hold: tokens, characters, units of speech, stored features."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from sermm.configuration.compose import levels_of
from sermm.core.errors import InputError
from sermm.core.records import Level, Span
from sermm.data.augment.augment import OF_WORDS, Augment
from sermm.data.augment.synonyms import Synonyms
from sermm.data.characters import spelled
from sermm.data.dataset import Inputs, StoredStream
from sermm.encoders.segments import UNITS_PER_S
from sermm.models.base import System

UnitTimes = Mapping[str, Mapping[str, Int[Tensor, "k 2"]]]
_ROUNDING = 1e-6


def inputs_of(
    system: System,
    texts: Mapping[str, str],
    times: UnitTimes,
    stored: Mapping[str, StoredStream],
) -> Inputs:
    """What the system reads of each utterance, by id.

    Args:
        system: says what it needs.
        texts: what is said, by id.
        times: of the units, by level and id.
        stored: streams from the feature store.
    """
    tokens = None
    if (encoder := system.text_encoder) is not None:
        rows = encoder.tokenize(list(texts.values()))
        tokens = {i: as_ids(row) for i, row in zip(texts, rows, strict=True)}
    needs = system.needs
    characters = None
    if "characters" in needs:
        characters = {i: as_ids(spelled(text)) for i, text in texts.items()}
    return Inputs(
        waveform="waveform" in needs,
        tokens=tokens,
        characters=characters,
        units={level: known for level, known in times.items() if level in needs},
        stored=stored,
    )


def augmentation(plain: Mapping[str, Any]) -> Augment | None:
    """What varies the audio of training batches; None if nothing is to be varied.

    Raises:
        InputError: a setting is wrong, or cannot go with the features or the units of the system.
    """
    augment = Augment(plain["augment"], plain["seed"])
    if not augment.settings:
        return None
    if plain["features"]["mode"] == "cached":
        raise InputError(
            f"augment varies audio in every epoch ({', '.join(augment.settings)}), and "
            "features=cached trains on stored features of audio as it is; choose features=frozen "
            "or features=finetune, or augment=none"
        )
    levels = levels_of(plain["model"]["system"])
    if levels and "speed" in augment.settings:
        raise InputError(
            f"augment.speed changes what is said when, and {plain['model']['name']} reads "
            f"{levels[0]}s by their times; set augment.speed=null"
        )
    return augment


def rewording(plain: Mapping[str, Any]) -> Synonyms | None:
    """How the words of training batches are varied; None if they are not to be.

    Raises:
        InputError: a setting is wrong, or cannot go with the features, or WordNet is not there.
    """
    settings = plain["augment"][OF_WORDS]
    if settings is None:
        return None
    if plain["features"]["mode"] == "cached":
        raise InputError(
            "augment.synonyms changes words in every epoch, and features=cached trains on stored "
            "features of what was said; choose features=frozen or features=finetune, or "
            "augment.synonyms=null"
        )
    return Synonyms(settings, plain["seed"])


def as_ids(row: Sequence[int]) -> Int[Tensor, " n"]:
    """Token ids as a tensor, also when there are none."""
    return torch.tensor(row, dtype=torch.int64)


def unit_times(
    spans: Mapping[Level, Mapping[str, tuple[Span, ...]]],
    ids: Collection[str],
    durations: Mapping[str, float],
    most_s: float,
) -> UnitTimes:
    """Start and end of every unit in 10 ms, end exclusive, within what is heard of the utterance.

    Starts are rounded down and ends up, so that mapping to frames of 20 ms loses nothing. An
    utterance of which no unit is left is one unit.
    """
    heard = {i: min(durations[i], most_s) for i in ids}
    return {level: {i: _times(known[i], heard[i]) for i in ids} for level, known in spans.items()}


def _times(spans: Sequence[Span], heard_s: float) -> Int[Tensor, "k 2"]:
    last = max(1, math.ceil(heard_s * UNITS_PER_S - _ROUNDING))
    rows = [
        [
            math.floor(span.start_s * UNITS_PER_S + _ROUNDING),
            min(last, math.ceil(span.end_s * UNITS_PER_S - _ROUNDING)),
        ]
        for span in spans
        if span.start_s < heard_s - _ROUNDING
    ]
    return torch.tensor(rows or [[0, last]])
