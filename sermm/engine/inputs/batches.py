"""What the batches of a task hold: tokens, characters, units of speech, stored features.

A system says what it needs (`System.needs`, its text encoder); here that becomes tensors by
utterance id, made once before training and joined to batches by `sermm.data.dataset`. What varies
in training (audio, words) is made here from the configuration too, and refused where it cannot go
with the rest: stored features are of audio and words as they are.
"""

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from sermm.configuration.groups import AugmentConfig
from sermm.configuration.verbs import RunConfig, levels_of
from sermm.core.errors import InputError
from sermm.core.records import Level, Span
from sermm.data.augment.augment import MOVES_TIMES, OF_WORDS, Augment
from sermm.data.augment.kinds import Gain, Mask, Pitch, Speed, Stretch, Variation
from sermm.data.augment.noise import Noise
from sermm.data.augment.synonyms import Synonyms
from sermm.data.characters import spelled
from sermm.data.dataset import Inputs, StoredStream
from sermm.encoders.segments import UNITS_PER_S
from sermm.models.base import System

UnitTimes = Mapping[str, Mapping[str, Int[Tensor, "k 2"]]]
# 0.29 * 100 is 28.99..., 0.07 * 100 is 7.00...1: times on the grid shall stay where they are.
_ROUNDING = 1e-6


def inputs_of(
    system: System,
    texts: Mapping[str, str],
    times: UnitTimes,
    stored: Mapping[str, StoredStream],
    cut: Collection[str] = (),
) -> Inputs:
    """What the system reads of each utterance, by id.

    Args:
        system: says what it needs.
        texts: what is said, by id.
        times: of the units, by level and id.
        stored: streams from the feature store.
        cut: ids of which not all is heard: what is said after the cut is no target of speech
            recognition, and nobody knows which characters those are.

    Returns:
        Only what is needed: without `waveform` no audio file is opened.
    """
    tokens = None
    if (encoder := system.text_encoder) is not None:
        rows = encoder.tokenize(list(texts.values()))
        tokens = {i: as_ids(row) for i, row in zip(texts, rows, strict=True)}
    needs = system.needs
    characters = None
    if "characters" in needs:
        whole = {i: "" if i in cut else text for i, text in texts.items()}
        characters = {i: as_ids(spelled(text)) for i, text in whole.items()}
    return Inputs(
        waveform="waveform" in needs,
        tokens=tokens,
        characters=characters,
        units={level: known for level, known in times.items() if level in needs},
        stored=stored,
    )


def augmentation(config: RunConfig) -> Augment | None:
    """What varies the audio of training batches; None if nothing is to be varied.

    Args:
        config: of the run.

    Raises:
        InputError: it cannot go with the features or the units of the system, or there is no noise.
    """
    augment = augment_of(config.augment, config.seed)
    found = augment.settings
    if not found:
        return None
    if config.features.mode == "cached":
        raise InputError(
            f"augment varies audio in every epoch ({', '.join(found)}), and "
            "features=cached trains on stored features of audio as it is; choose features=frozen "
            "or features=finetune, or augment=none"
        )
    levels = levels_of(config.model.system)
    moved = [f"augment.{kind}" for kind in MOVES_TIMES if kind in found]
    if levels and moved:
        raise InputError(
            f"{moved[0]} changes what is said when, and {config.model.name} reads {levels[0]}s by "
            f"their times; set {moved[0]}=null"
        )
    return augment


def augment_of(asked: AugmentConfig, seed: int) -> Augment:
    """What varies audio, with its settings as the result records them.

    Args:
        asked: `augment` of the configuration; words are not looked at.
        seed: of the run, from which all that it draws follows.

    Raises:
        InputError: there is no noise.
    """
    given = asked.model_dump(exclude={OF_WORDS}, mode="json")
    settings = {kind: one for kind, one in given.items() if one is not None}
    return Augment(variations(asked), seed, settings)


def variations(asked: AugmentConfig) -> dict[str, Variation]:
    """What varies audio by kind, in the order in which it is applied: talker, place, recording.

    A voice is changed before the noise of a room is added to it, and the recording's level and gaps
    come last, over both.

    Args:
        asked: `augment` of the configuration; a kind that is None is off.

    Raises:
        InputError: there is no noise.
    """
    found: dict[str, Variation] = {}
    if (speed := asked.speed) is not None:
        found["speed"] = Speed(speed.p, _floats(speed.factor))
    if (stretch := asked.stretch) is not None:
        found["stretch"] = Stretch(stretch.p, _floats(stretch.factor))
    if (pitch := asked.pitch) is not None:
        found["pitch"] = Pitch(pitch.p, _floats(pitch.semitones))
    if (noise := asked.noise) is not None:
        found["noise"] = Noise.of(noise.p, _floats(noise.snr_db), noise.root)
    if (gain := asked.gain) is not None:
        found["gain"] = Gain(gain.p, _floats(gain.db))
    if (mask := asked.mask) is not None:
        found["mask"] = Mask(mask.p, _floats(mask.share), mask.times)
    return found


def _floats(ends: tuple[int | float, int | float]) -> tuple[float, float]:
    """Lowest and highest as floats; the configuration keeps whole numbers as they were written."""
    return float(ends[0]), float(ends[1])


def rewording(config: RunConfig) -> Synonyms | None:
    """How the words of training batches are varied; None if they are not to be.

    Args:
        config: of the run.

    Raises:
        InputError: it cannot go with the features, or WordNet is not there.
    """
    asked = config.augment.synonyms
    if asked is None:
        return None
    if config.features.mode == "cached":
        raise InputError(
            "augment.synonyms changes words in every epoch, and features=cached trains on stored "
            "features of what was said; choose features=frozen or features=finetune, or "
            "augment.synonyms=null"
        )
    return Synonyms(asked.p, asked.wordnet, config.seed)


def as_ids(row: Sequence[int]) -> Int[Tensor, " n"]:
    """Token ids as a tensor, also of none: torch would take an empty list for floats."""
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

    Args:
        spans: by level and utterance id; their times are in seconds from the utterance's start.
        ids: of the utterances that are wanted.
        durations: seconds by id.
        most_s: where utterances are cut, in seconds.

    Returns:
        By level and id; at least one unit each, so that no mean is taken over nothing.
    """
    heard = {i: min(durations[i], most_s) for i in ids}
    return {level: {i: _times(known[i], heard[i]) for i in ids} for level, known in spans.items()}


def _times(spans: Sequence[Span], heard_s: float) -> Int[Tensor, "k 2"]:
    """The same for one utterance, of which so many seconds are heard."""
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
