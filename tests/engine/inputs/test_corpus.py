"""From a configuration to a corpus that has been read."""

import pytest

from sermm.core.errors import InputError
from sermm.core.records import Span, Utterance
from sermm.engine.inputs.corpus import aligned


def utterance(name, tmp_path):
    return Utterance(name, "mini", tmp_path / f"{name}.wav", "ang", "s1")


class Reader:
    """Has words of a and b, syllables of b and c."""

    def read(self):
        raise NotImplementedError

    def spans(self, utterance, level):
        known = {"word": "ab", "syllable": "bc"}[level]
        return (Span("x", 0.0, 1.0, level, "corpus"),) if utterance.id in known else ()


class Silent:
    def read(self):
        raise NotImplementedError


def test_only_utterances_with_words_and_syllables(tmp_path):
    utterances = [utterance(name, tmp_path) for name in "abc"]
    assert [u.id for u in aligned(Reader(), utterances, "p")] == ["b"]


def test_a_corpus_without_alignments(tmp_path):
    with pytest.raises(InputError, match=r"protocol p .* this corpus has none"):
        aligned(Silent(), [utterance("a", tmp_path)], "p")
