"""From the synthesiser's events to aligned units, with times worked out by hand."""

import numpy as np
import pytest

from sermm.core.records import Span
from sermm.demo.alignment import align, speakable, speech_end_s
from sermm.demo.speech import Event, resampled


def events(*rows):
    return tuple(Event(*row) for row in rows)


# "for it.": the vowel of "for" is r-coloured, and an r links it to "it".
FOR_IT = events(
    ("word", 0.000, 0, ""),
    ("phone", 0.000, 0, "f"),
    ("phone", 0.104, 0, "'O@"),
    ("phone", 0.204, 0, "r-"),
    ("word", 0.226, 5, ""),
    ("phone", 0.226, 5, "I"),
    ("phone", 0.300, 5, "t"),
    ("phone", 0.380, 7, "_:"),
    ("phone", 0.500, 7, "_"),
)


def test_times_by_hand():
    found = align("for\u200d it.", FOR_IT, lead_s=0.1)
    assert found.words == (
        Span("FOR", 0.10, 0.33, "word", "corpus"),
        Span("IT", 0.33, 0.48, "word", "corpus"),
    )
    assert [(p.symbol, p.start_s, p.end_s) for p in found.phones] == [
        ("F", 0.10, 0.20),
        ("AO", 0.20, 0.26),
        ("R", 0.26, 0.33),
        ("IH", 0.33, 0.40),
        ("T", 0.40, 0.48),
    ]
    assert [s.symbol for s in found.syllables] == ["F_AO_R", "IH_T"]


def test_the_speech_ends_where_the_closing_pause_starts():
    assert speech_end_s(FOR_IT) == 0.38


def test_a_pause_between_words_belongs_to_no_word():
    rows = (
        ("word", 0.0, 0, ""),
        ("phone", 0.0, 0, "aI"),
        ("phone", 0.2, 3, "_:"),
        ("word", 0.5, 3, ""),
        ("phone", 0.5, 3, "i:"),
        ("phone", 0.8, 5, "_"),
    )
    words = align("a, e.", events(*rows), lead_s=0.0).words
    assert [(w.symbol, w.start_s, w.end_s) for w in words] == [("A", 0.0, 0.2), ("E", 0.5, 0.8)]


def test_a_phone_shorter_than_a_frame_gets_one_and_the_next_starts_after_it():
    rows = (
        ("word", 0.0, 0, ""),
        ("phone", 0.000, 0, "@"),
        ("phone", 0.002, 0, "t"),
        ("phone", 0.030, 0, "_"),
    )
    phones = align("at.", events(*rows), lead_s=0.0).phones
    assert [(p.start_s, p.end_s) for p in phones] == [(0.0, 0.01), (0.01, 0.03)]


@pytest.mark.parametrize(
    ("phones", "syllables"),
    [
        ("m I n s t r @ l", "M_IH_N S_T_R_AH_L"),
        ("b @ l u: n", "B_AH L_UW_N"),
        ("a k t 3", "AE_K T_ER"),
        ("s I N I N", "S_IH_NG IH_NG"),
        ("h m", "HH_M"),
        ("D e@ r", "DH_EH_R"),
    ],
)
def test_consonants_go_to_the_later_syllable_as_far_as_english_allows(phones, syllables):
    names = phones.split()
    rows = [("phone", i / 10, 0, name) for i, name in enumerate([*names, "_"])]
    found = align("word.", events(("word", 0.0, 0, ""), *rows), lead_s=0.0).syllables
    assert " ".join(s.symbol for s in found) == syllables


def test_an_unknown_phone_is_named():
    with pytest.raises(ValueError, match="phone 'x' has no ARPAbet"):
        align("ach.", events(("phone", 0.0, 0, "x"), ("phone", 0.1, 0, "_")), lead_s=0.0)


def test_what_is_spoken_has_no_mark_that_changes_the_melody():
    assert speakable("Stop it, now!") == "Stop\u200d it,\u200d now."


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100])
def test_resampling_keeps_a_tone_and_its_phase(rate_hz):
    tone = np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    found = resampled(tone, rate_hz)
    assert len(found) == 16_000
    assert np.abs(found - expected)[100:-100].max() < 2e-3


def test_resampling_removes_what_16_khz_cannot_hold():
    tone = np.sin(2 * np.pi * 9_500 * np.arange(22_050) / 22_050)
    assert np.abs(resampled(tone, 22_050))[100:-100].max() < 0.02
