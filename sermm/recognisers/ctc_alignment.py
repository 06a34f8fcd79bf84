"""Words in time by CTC forced alignment: the likeliest path that spells the transcript.

Source: Kürzinger et al. 2020, as `torchaudio.functional.forced_align` computes it. The path needs
a frame for each character and one more between equal neighbours: T >= L + repeats.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from typing import Any, Final

import regex
import torch
from jaxtyping import Float
from torch import Tensor

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.core.records import Problem, Span
from sermm.recognisers.ctc import CTCModel
from sermm.units.aligned import Aligned
from sermm.units.words import words_of

# Raise it when spans of the same model and text change: earlier ones no longer count.
_VERSION: Final = 2
# They say how letters are drawn (Persian, Hindi); where a vocabulary lacks them, nothing is lost.
_JOINER = regex.compile(r"\p{Cf}")


@dataclass(frozen=True)
class Target:
    """A transcript in the characters of a vocabulary.

    Attributes:
        words: those with a known character; `sizes` is how many each has.
        labels: indices of the characters of all words, with the delimiter between words.
        unknown: how often each character was that the vocabulary lacks.
        lost: words without a known character.
    """

    words: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """How many frames a path through it needs at least."""
        return len(self.labels) + sum(a == b for a, b in pairwise(self.labels))


class CtcAligner:
    """Finds the words of a transcript; phones and syllables are not in a vocabulary of letters.

    Args:
        model: any with a CTC head.
    """

    name = "ctc"

    def __init__(self, model: CTCModel) -> None:
        self._model = model

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the spans."""
        return {
            "aligner": self.name,
            "version": _VERSION,
            "model": self._model.identity,
            "torchaudio": version("torchaudio"),
        }

    def align(self, ids: Sequence[str], waveform: Ragged, texts: Sequence[str]) -> list[Aligned]:
        """The words of each of b utterances; one forward pass for all of them.

        An utterance without words has no spans; one that cannot be aligned has a problem.

        Args:
            ids: of the utterances.
            waveform: mono at 16 kHz in -1..1.
            texts: what is said.
        """
        frames = self._model.log_probs(waveform).to("cpu").split()
        return [self._align(*one) for one in zip(ids, frames, texts, strict=True)]

    def target(self, text: str) -> Target:
        """A transcript in the model's characters, in the case that the vocabulary has."""
        target = Target()
        delimiter = self._model.vocabulary.get(self._model.delimiter)
        for word in words_of(text):
            labels: list[int] = []
            for character in word:
                found = self._labels(character)
                if found is None and not _JOINER.match(character):
                    target.unknown[character] += 1
                labels += found or []
            if not labels:
                target.lost.append(word)
                continue
            if target.labels and delimiter is not None:
                target.labels.append(delimiter)
            target.words.append(word)
            target.sizes.append(len(labels))
            target.labels.extend(labels)
        return target

    def _labels(self, character: str) -> list[int] | None:
        """Indices of a character; of several where its other case has several (SS for a sharp s).

        A vocabulary without it may have its parts: the letter and its mark, the letters of a Korean
        syllable.
        """
        vocabulary = self._model.vocabulary
        cases = (character, character.upper(), character.lower())
        for form in (*cases, *(unicodedata.normalize("NFD", case) for case in cases)):
            labels = [vocabulary.get(c, self._model.blank) for c in form]
            if self._model.blank not in labels:
                return labels
        return None

    def _align(self, utterance_id: str, frames: Float[Tensor, "t v"], text: str) -> Aligned:
        target = self.target(text)
        problems = _left_out(utterance_id, target)
        if not target.labels:
            return Aligned({}, problems)
        if len(frames) < target.frames:
            what = (
                f"{self.name}: {len(target.labels)} characters need {target.frames} frames, the "
                f"audio has {len(frames)}; is this its transcript?"
            )
            return Aligned({}, (*problems, Problem(utterance_id, what, "cannot_be_aligned")))
        characters = token_spans(frames, target.labels, self._model.blank)
        return Aligned({"word": tuple(self._words(target, characters))}, problems)

    def _words(self, target: Target, characters: Sequence[tuple[int, int]]) -> list[Span]:
        """From the first frame of a word's first character to the last one of its last."""
        between = len(characters) > sum(target.sizes)
        spans, at, frame_s = [], 0, self._model.frame_s
        for word, size in zip(target.words, target.sizes, strict=True):
            start, end = characters[at][0], characters[at + size - 1][1]
            spans.append(Span(word, start * frame_s, end * frame_s, "word", self.name))
            at += size + between
        return spans


def token_spans(
    log_probs: Float[Tensor, "t v"], labels: Sequence[int], blank: int
) -> list[tuple[int, int]]:
    """First frame and frame after the last of each label on the likeliest path.

    Raises:
        InputError: torchaudio is there without its compiled part.
    """
    from torchaudio.functional import forced_align, merge_tokens

    try:
        path, scores = forced_align(log_probs[None], torch.tensor([labels]), blank=blank)
    except RuntimeError as error:
        if "alignment extension" not in str(error):
            raise
        raise InputError(
            "alignment by CTC needs the compiled part of torchaudio, which does not fit "
            f"torch {torch.__version__}: install torchaudio from where that torch came from (for a "
            "CPU-only torch: make setup TORCH=cpu), or align by another of align.sources"
        ) from error
    return [(span.start, span.end) for span in merge_tokens(path[0], scores[0], blank)]


def _left_out(utterance_id: str, target: Target) -> tuple[Problem, ...]:
    problems = []
    if target.unknown:
        listed = " ".join(f"{c} ({n})" for c, n in sorted(target.unknown.items()))
        what = f"ctc: characters that the vocabulary lacks are left out: {listed}"
        problems.append(Problem(utterance_id, what, "unknown_characters"))
    if target.lost:
        what = f"ctc: words without a known character have no unit: {' '.join(target.lost)}"
        problems.append(Problem(utterance_id, what, "unknown_words"))
    return tuple(problems)
