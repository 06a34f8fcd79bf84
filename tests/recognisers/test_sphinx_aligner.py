import os
from pathlib import Path

import numpy as np
import pytest

from sermm.core.errors import InputError
from sermm.corpora.emodb_labels import label_spans
from sermm.data.audio import load
from sermm.recognisers import sphinx_aligner
from sermm.recognisers.sphinx_aligner import SphinxAligner, _of_the_model, read_dictionary
from sermm.units.syllables import VOWELS, is_arpabet, syllabify, syllable_spans

NOISE = 0.05 * np.random.default_rng(0).standard_normal(16000)
SENTENCE = "Kids are talking by the door."


@pytest.fixture(scope="module")
def aligner():
    pytest.importorskip("pocketsphinx")
    return SphinxAligner()


def test_without_the_extra_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr(sphinx_aligner, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "sermm\[sphinx\]"'):
        SphinxAligner()


@pytest.mark.parametrize("text", ["", "[LAUGHTER]", "?"])
def test_nothing_said_is_no_problem(aligner, text):
    found = aligner.align("u", NOISE, text)
    assert (found.spans, found.problems) == ({}, ())


def test_unknown_words_are_listed(aligner):
    found = aligner.align("u", NOISE, "Zzzq, Tüten 3!")
    assert found.spans == {}
    assert [(p.where, p.kind) for p in found.problems] == [("u", "unknown_words")]
    assert found.problems[0].what.endswith("left out: zzzq tüten 3")


@pytest.mark.parametrize("count", [0, 100, 16000])
def test_audio_that_does_not_hold_the_words(aligner, count):
    found = aligner.align("u", NOISE[:count], SENTENCE * 5)
    assert found.spans == {}
    assert [p.kind for p in found.problems] == ["cannot_be_aligned"]


@pytest.fixture(scope="module")
def clips():
    if "SERMM_REAL_SPEECH" not in os.environ:
        pytest.skip("SERMM_REAL_SPEECH is not set")
    folder = Path(os.environ["SERMM_REAL_SPEECH"]) / "ravdess" / "Actor_01"
    return [load(path).numpy() for path in sorted(folder.glob("03-01-01-01-01-*.flac"))]


@pytest.mark.real_speech
def test_words_and_phones_of_real_speech(aligner, clips):
    found = aligner.align("u", clips[0], SENTENCE + " zzzq")
    words, phones = found.spans["word"], found.spans["phone"]
    assert [w.symbol for w in words] == ["kids", "are", "talking", "by", "the", "door"]
    assert " ".join(p.symbol for p in phones[:4]) == "K IH D Z"
    assert is_arpabet([p.symbol for p in phones])
    # Listening and the waveform say that this clip is silent up to 0.95 s and after 2.3 s.
    assert words[0].start_s == pytest.approx(0.96, abs=0.06)
    assert words[-1].end_s == pytest.approx(2.27, abs=0.1)
    assert [w.start_s for w in words[1:]] == pytest.approx([w.end_s for w in words[:-1]])
    assert phones[0].start_s == words[0].start_s
    assert phones[-1].end_s == words[-1].end_s
    syllables = syllable_spans(phones, words, "pocketsphinx")
    assert [s.symbol for s in syllables[2:4]] == ["T_AO", "K_IH_NG"]
    assert [p.kind for p in found.problems] == ["unknown_words"]


@pytest.mark.real_speech
def test_an_utterance_does_not_depend_on_those_before(aligner, clips):
    first = [aligner.align("u", clip, SENTENCE) for clip in clips]
    for _ in range(10):
        aligner.align("u", NOISE[:100], SENTENCE)
        assert [aligner.align("u", clip, SENTENCE) for clip in reversed(clips)] == first[::-1]


@pytest.mark.real_speech
def test_a_dictionary_of_ones_own(aligner, clips, tmp_path):
    (tmp_path / "own.dict").write_text("Zkids K IH D Z\nzkids(2) K IH T S\n\nthe DH IY\n")
    own = SphinxAligner(tmp_path / "own.dict")
    found = own.align("u", clips[0], "zkids are talking by the door")
    assert found.problems == ()
    assert [w.symbol for w in found.spans["word"]][:2] == ["zkids", "are"]
    assert " ".join(p.symbol for p in found.spans["phone"]).endswith("B AY DH IY D AO R")
    usual = aligner.align("u", clips[0], SENTENCE).spans["word"]
    starts = [w.start_s for w in found.spans["word"]]
    assert starts == pytest.approx([w.start_s for w in usual], abs=0.05)
    assert own.identity != aligner.identity


@pytest.mark.parametrize("line", ["door", "door D AO1 R", "door D Q R"])
def test_a_line_that_is_no_word_and_phones_is_named(tmp_path, line):
    (tmp_path / "own.dict").write_text(f"kids K IH D Z\n{line}\n")
    with pytest.raises(InputError, match=r"own\.dict, line 2: expected a word and ARPAbet phones"):
        read_dictionary(tmp_path / "own.dict")


def test_a_dictionary_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"own\.dict: cannot be read"):
        read_dictionary(tmp_path / "own.dict")


def test_every_word_of_the_english_dictionary_has_syllables(aligner):
    """A tenth of 134,000: each phone in one syllable, each syllable with one vowel."""
    ways = [phones.split() for all_ways in _of_the_model().values() for phones in all_ways]
    assert len(ways) > 130_000
    for word in ways[::10]:
        syllables = syllabify(word)
        assert [phone for syllable in syllables for phone in syllable] == word
        assert len(syllables) == max(1, sum(phone in VOWELS for phone in word))


# The nearest English phones of EmoDB's symbols, other than the upper-case letter itself.
GERMAN = {
    **{"I": "IH", "a": "AA", "i": "IY", "e": "EY", "N": "NG", "U": "UH", "E": "EH", "S": "SH"},
    **{"x": "HH", "C": "SH", "aI": "AY", "o": "OW", "O": "AO", "X": "HH", "Y": "UW", "aU": "AW"},
    **{"j": "Y", "i6": "IY AH", "y": "UW", "D": "DH", "u": "UW", "H": "HH", "h": "HH", "@": "AH"},
    **{"6": "AH", "4": "R", "9": "ER", "a6": "AA", "E6": "EH AH", "@6": "AH", "?": ""},
}


@pytest.mark.real_speech
@pytest.mark.skipif("SERMM_REAL_SPEECH" not in os.environ, reason="SERMM_REAL_SPEECH is not set")
def test_boundaries_are_near_those_that_people_set(tmp_path):
    """EmoDB by the English model: every hand-labelled syllable is a word of its own phones.

    Over 459 clips of the corpus the median is 13 ms, and 91 % lie within 50 ms; syllables of equal
    length over the clip give 104 ms and 25 %.
    """
    folder = Path(os.environ["SERMM_REAL_SPEECH"]) / "emodb"
    by_hand, lines = {}, []
    for path in sorted(folder.glob("*.flac"))[::40]:
        phones = label_spans(path, path.stem, "phone")
        syllables = label_spans(path, path.stem, "syllable")
        said = [
            [p for p in phones if s.start_s <= (p.start_s + p.end_s) / 2 < s.end_s]
            for s in syllables
        ]
        ways = [" ".join(GERMAN.get(p.symbol, p.symbol.upper()) for p in part) for part in said]
        if all(way.strip() and is_arpabet(way.split()) for way in ways):
            by_hand[path] = syllables
            lines += [f"{path.stem}x{n} {way}" for n, way in enumerate(ways)]
    (tmp_path / "german.dict").write_text("\n".join(lines))
    aligner = SphinxAligner(tmp_path / "german.dict")
    apart, even = [], []
    for path, syllables in by_hand.items():
        text = " ".join(f"{path.stem}x{n}" for n in range(len(syllables)))
        audio = load(path).numpy()
        words = aligner.align(path.stem, audio, text).spans.get("word", ())
        for number, (hand, found) in enumerate(zip(syllables, words, strict=False)):
            apart.append(abs(hand.start_s - found.start_s))
            even.append(abs(hand.start_s - len(audio) / 16000 * number / len(syllables)))
    assert len(apart) > 100
    assert np.median(apart) < 0.02
    assert np.mean(np.array(apart) <= 0.05) > 0.85
    assert np.median(even) > 0.05


def test_a_path_that_stops_before_the_last_word_is_tried_again_and_refused(aligner, monkeypatch):
    class Unit:
        name, start, duration = "kids", 40, 10

        def __iter__(self):
            return iter(())

    class Decoder:
        def __getattr__(self, name):
            return lambda *args, **options: [Unit()]

    attempts = []

    def decoder(words, beams):
        attempts.append(beams)
        return Decoder()

    monkeypatch.setattr(aligner, "_decoder", decoder)
    one = aligner.align("u", NOISE, "kids")
    assert [(w.start_s, w.end_s) for w in one.spans["word"]] == [(0.4, 0.5)]
    assert len(attempts) == 1
    two = aligner.align("u", NOISE, "kids talking")
    assert (two.spans, [p.kind for p in two.problems]) == ({}, ["cannot_be_aligned"])
    assert len(attempts) == 4
