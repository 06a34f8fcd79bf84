import pytest
from hypothesis import given
from hypothesis import strategies as st

from sermm.core.records import Span
from sermm.units.syllables import CONSONANTS, VOWELS, is_arpabet, syllabify, syllable_spans


def divided(text, **options):
    return ".".join("-".join(syllable) for syllable in syllabify(text.split("-"), **options))


@pytest.mark.parametrize(
    "syllables",
    [
        # the vectors of the specification
        "M-IH-N.S-T-R-AH-L",
        "B-AH.L-UW-N",
        "AE-K.T-ER",
        "K-AE-N.Y-AH-N",
        # one vowel, none, two in a row
        "S-T-R-EH-NG-TH-S",
        "SH",
        "K-EY.AA-S",
        # NG never starts a syllable; T L is no onset
        "S-IH-NG.ER",
        "AE-T.L-AH-S",
        # R after a vowel stays, also where R W could start a syllable; alone it moves
        "K-AA-R.W-AA-SH",
        "P-AA-R.T-IY",
        "K-AE.R-IY",
        # Y after two consonants goes on alone: N S Y -> N . S Y, and B Y needs no licence
        "AE-M.B-Y-AH.L-AH-N-S",
        "AH-P.HH-Y-UW",
        # clusters
        "IH-K.S-P-L-EY-N",
        "AE-N.T-R-W-AA",
        "AH.S-K-W-IH-D",
        "EH-K.S-T-R-AH",
        # stress is ignored and kept
        "AH0.L-AE1.S-K-AH0",
    ],
)
def test_words_with_known_syllables(syllables):
    assert divided(syllables.replace(".", "-")) == syllables


def test_s_closes_a_stressed_lax_syllable_on_request():
    assert divided("AH0-L-AE1-S-K-AH0", alaska=True) == "AH0.L-AE1-S.K-AH0"
    assert divided("AH0-L-AE0-S-K-AH0", alaska=True) == "AH0.L-AE0.S-K-AH0", "no stress"
    assert divided("IY1-S-T-ER0", alaska=True) == "IY1.S-T-ER0", "not lax"
    assert divided("L-EH1-S-AH0-N", alaska=True) == "L-EH1.S-AH0-N", "S alone moves"


SYMBOLS = sorted(VOWELS | CONSONANTS | {f"{vowel}{n}" for vowel in VOWELS for n in "012"})


@given(st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=14), st.booleans())
def test_every_phone_is_in_one_syllable_and_every_syllable_has_one_vowel(word, alaska):
    syllables = syllabify(word, alaska)
    assert [phone for syllable in syllables for phone in syllable] == word
    vowels = [sum(phone.rstrip("012") in VOWELS for phone in s) for s in syllables]
    assert vowels == [1] * len(vowels) or vowels == [0]


def test_no_phones_no_syllables():
    assert syllabify([]) == []
    assert syllable_spans((), (), "x") == ()


def spans(level, *rows):
    return [Span(symbol, start, end, level, "x") for symbol, start, end in rows]


def test_times_are_those_of_the_phones_and_words_are_never_crossed():
    words = spans("word", ("stop", 0.1, 0.4), ("art", 0.4, 0.6))
    rows = [("S", 0.1, 0.15), ("T", 0.15, 0.2), ("AA1", 0.2, 0.3), ("P", 0.3, 0.4)]
    rows += [("AA1", 0.4, 0.5), ("R", 0.5, 0.55), ("T", 0.55, 0.6)]
    phones = spans("phone", *rows)
    found = syllable_spans(phones, words, "corpus_phones")
    assert found == (
        Span("S_T_AA1_P", 0.1, 0.4, "syllable", "corpus_phones"),
        Span("AA1_R_T", 0.4, 0.6, "syllable", "corpus_phones"),
    )


def test_phones_outside_words_are_parted_by_words_and_pauses():
    words = spans("word", ("go", 0.2, 0.4))
    rows = [("AH", 0.0, 0.1), ("M", 0.1, 0.2), ("G", 0.2, 0.3), ("OW", 0.3, 0.4)]
    rows += [("P", 0.4, 0.5), ("AH", 0.5, 0.6), ("T", 0.8, 0.9), ("AH", 0.9, 1.0)]
    symbols = [s.symbol for s in syllable_spans(spans("phone", *rows), words, "x")]
    assert symbols == ["AH_M", "G_OW", "P_AH", "T_AH"]


@given(st.data())
def test_every_phone_of_an_utterance_is_in_one_syllable_of_its_own_word(data):
    phones, words, at = [], [], 0
    for _ in range(data.draw(st.integers(1, 8))):
        at += data.draw(st.sampled_from((0, 7)))
        begun = at
        for symbol in data.draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=7)):
            length = data.draw(st.integers(1, 20))
            phones.append(Span(symbol, at / 100, (at + length) / 100, "phone", "x"))
            at += length
        if data.draw(st.booleans()):
            words.append(Span("w", begun / 100, at / 100, "word", "x"))
    found = syllable_spans(phones, words, "x")
    assert "_".join(s.symbol for s in found).split("_") == [p.symbol for p in phones]
    assert [s.start_s for s in found] == sorted(s.start_s for s in found)
    for word in words:
        touching = [s for s in found if s.start_s < word.end_s and s.end_s > word.start_s]
        assert touching[0].start_s == word.start_s
        assert touching[-1].end_s == word.end_s


def test_other_alphabets_are_told_apart():
    assert is_arpabet(["AA1", "AX", "NG"])
    assert not is_arpabet(["a:", "N"])
    assert not is_arpabet(["6"])
