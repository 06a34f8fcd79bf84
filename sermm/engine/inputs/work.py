"""Which utterances are worked on, and what is known of them.

Between a corpus and what is made of it: training, extraction of features and evaluation all take a
`Work`. It holds the units of exactly the levels that are needed, so that a system of whole frames
never asks an aligner.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch

from sermm.configuration.verbs import WorkConfig
from sermm.core.records import Level, Utterance
from sermm.encoders.precision import device_for
from sermm.engine.inputs.batches import UnitTimes, unit_times
from sermm.engine.inputs.corpus import Loaded


@dataclass(frozen=True)
class Work:
    """Utterances, their corpus and their units.

    Attributes:
        config: how they are worked on.
        utterances: by id.
        loaded: their corpus.
        units: their units by level and id, `[k 2]` in 10 ms.
        sources: how many utterances have their units from where, by level.
    """

    config: WorkConfig
    utterances: Mapping[str, Utterance]
    loaded: Loaded
    units: UnitTimes = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def most_s(self) -> float:
        """Where utterances are cut, in seconds; infinite where none is."""
        return self.config.trainer.most_s

    @property
    def device(self) -> torch.device:
        """What the encoders run on."""
        return device_for(self.config.device)

    @property
    def cut(self) -> set[str]:
        """The utterances of which not all is heard, by id."""
        return {i for i in self.utterances if self.loaded.durations[i] > self.most_s}

    def heard_s(self, utterance_id: str) -> float:
        """What is heard of an utterance, in seconds: all of it, or what is before the cut."""
        return min(self.loaded.durations[utterance_id], self.most_s)


def work_of(
    config: WorkConfig, loaded: Loaded, ids: Collection[str], levels: Collection[Level]
) -> Work:
    """Utterances with their units of these levels.

    Args:
        config: how they are worked on.
        loaded: the corpus.
        ids: of the utterances; others of the corpus are left out.
        levels: that are needed; none for systems of whole frames and texts.

    Raises:
        InputError: a source of units cannot be had.
    """
    chosen = set(ids)
    utterances = {u.id: u for u in loaded.reading.utterances if u.id in chosen}
    if not levels:
        return Work(config, utterances, loaded)
    # Aligners bring packages with them that a run without units does not need.
    from sermm.engine.inputs.units import units

    # Of the whole corpus: what slow sources find is kept, and folds share it.
    found = units(config, loaded, levels)
    spans = {level: found[level].spans for level in levels}
    times = unit_times(spans, utterances, loaded.durations, config.trainer.most_s)
    sources: dict[str, dict[str, int]] = {
        level: dict(Counter(known[i][0].source for i in utterances))
        for level, known in spans.items()
    }
    return Work(config, utterances, loaded, times, sources)
