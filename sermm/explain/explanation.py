"""What a trained system looked at in one utterance: its attention and its gates, with figures.

A system shows what it has computed on the way to its answer (`System.attended`, `System.gates`);
nothing is perturbed, and no gradient is taken. So this tells where it looked, and not which of that
made it decide: attention is no proof of a cause, and the page says of its figures who defined them.

Positions mean nothing by themselves. `sermm.explain.axes` says what they are (tokens, or stretches
of time), `sermm.explain.sound` what can be heard there. Legend: n positions that look, m that are
looked at.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.precision import device_for
from sermm.engine.assembly.inference import predict
from sermm.engine.assembly.restore import Restored
from sermm.explain.axes import Axis, axis_of
from sermm.explain.explainable import explainable
from sermm.explain.measures import Statistic, band, cross, lexicon, relevance
from sermm.explain.sound import Sound, sound_of
from sermm.explain.subject import Subject
from sermm.explain.words import words_of
from sermm.models.base import Attended, System


@dataclass(frozen=True, eq=False)
class Map:
    """Where one stream looks in another, or in itself.

    Attributes:
        query: the n positions that look.
        key: the m positions that are looked at.
        weights: `[n m]`, mean over heads; rows sum to 1.
        measures: as in Table 5 of Li 2025, where speech looks at text; else none.
    """

    query: Axis
    key: Axis
    weights: Float[np.ndarray, "n m"]
    measures: tuple[Statistic, ...] = ()

    @property
    def name(self) -> str:
        """Both streams, fit for a file's name."""
        return f"{self.query.stream}-to-{self.key.stream}"


@dataclass(frozen=True, eq=False)
class Gate:
    """A gate of one stream at each position, over its channels; 1 = its own states pass.

    Attributes:
        axis: its n positions.
        mean: `[n]`, over the channels.
        lower: `[n]`, a tenth of the channels is below.
        upper: `[n]`, a tenth of the channels is above.
    """

    axis: Axis
    mean: Float[np.ndarray, " n"]
    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Explained:
    """All that is shown of an utterance; page, pictures and record are made of this alone.

    Attributes:
        restored: the run.
        subject: the utterance.
        sound: its spectra.
        probabilities: by class; they sum to 1.
        maps: the first is the one that the paper shows: speech looks at text, if there is such.
        gates: of each stream that has one.
        negative: the words of its transcript that are on the list of negative words.
    """

    restored: Restored
    subject: Subject
    sound: Sound
    probabilities: dict[str, float]
    maps: tuple[Map, ...]
    gates: tuple[Gate, ...]
    negative: frozenset[str]

    @property
    def predicted(self) -> str:
        """The likeliest class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    def negative_tokens(self, axis: Axis) -> frozenset[int]:
        """The numbers of the tokens that make negative words.

        Args:
            axis: of text; one of speech has no tokens, so none is negative.
        """
        words = words_of(self.subject.text, axis.pieces or ())
        return frozenset(i for word in words if word.text in self.negative for i in word.tokens)


def explain(restored: Restored, subject: Subject, negative: Collection[str]) -> Explained:
    """Runs the system on the utterance and reads its attention and its gates.

    Predicts first, by the code that `sermm predict` uses. That leaves the system on the CPU and in
    evaluation mode, where attention and gates are then read in float32.

    Args:
        restored: the run.
        subject: the utterance.
        negative: words that the lexicon figure takes the relevance of.

    Raises:
        InputError: the system has neither attention nor a gate.
    """
    system, options = restored.system, restored.config.trainer
    device = device_for(options.accelerator)
    (prediction,) = predict(system, [subject.batch], device, options.precision)
    with torch.inference_mode():
        attended, gates = system.attended(subject.batch), system.gates(subject.batch)
    if not attended and not gates:
        raise InputError(
            f"{restored.result.model} has neither attention nor a gate to show; these have, unless "
            f"their settings take it away: {', '.join(explainable())}"
        )
    sound = sound_of(subject.waveform)
    maps = [_map(system, subject, sound, one, negative) for one in attended]
    # A stable sort: maps with figures first.
    maps.sort(key=lambda found: not found.measures)
    classes = restored.result.classes
    spoken = {word.text for word in words_of(subject.text, ())}
    return Explained(
        restored,
        subject,
        sound,
        {c: float(p) for c, p in zip(classes, prediction.probabilities, strict=True)},
        tuple(maps),
        tuple(_gate(system, subject, sound, name, gate) for name, gate in gates.items()),
        frozenset(spoken & set(negative)),
    )


def _map(
    system: System, subject: Subject, sound: Sound, attended: Attended, negative: Collection[str]
) -> Map:
    # The batch holds one utterance.
    """Attention as a map between two axes, with the paper's figures where speech looks at text.

    Args:
        system: whose attention it is.
        subject: the utterance.
        sound: of the utterance.
        attended: of a batch of one.
        negative: a list of words.
    """
    weights = attended.weights[0].double().numpy()
    query, key = (
        axis_of(system, stream, n, subject.batch, subject.text, sound.seconds)
        for stream, n in zip((attended.query, attended.key), weights.shape, strict=True)
    )
    measures: tuple[Statistic, ...] = ()
    if query.pieces is None and key.pieces is not None:
        energy, share = (None, None) if query.times is None else sound.at(query.times)
        words = words_of(subject.text, key.pieces)
        measures = (
            band(weights, share),
            lexicon(relevance(weights), words, negative),
            cross(weights, energy, key.pieces),
        )
    return Map(query, key, weights, measures)


def _gate(system: System, subject: Subject, sound: Sound, name: str, gate: Ragged) -> Gate:
    """A gate `[n d]` as its mean and its middle 80 % over the d channels."""
    values = gate.values.double().numpy()
    axis = axis_of(system, name, len(values), subject.batch, subject.text, sound.seconds)
    lower, upper = np.quantile(values, (0.1, 0.9), axis=1)
    return Gate(axis, values.mean(1), lower, upper)
