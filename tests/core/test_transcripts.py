import unicodedata

import pytest

from sermm.core.digest import digest
from sermm.core.transcripts import compared, normalise, spoken

LANGUAGES = {
    "German": ("Für Sie süße Tüten!", "für sie süße tüten"),
    "Hindi": ("नमस्ते, आप कैसे हैं?", "नमस्ते आप कैसे हैं"),
    "Vietnamese": ("Tiếng Việt rất ĐẸP.", "tiếng việt rất đẹp"),
    "Arabic": ("مُحَمَّدٌ يَكتُبُ، آبَ", "محمد يكتب آب"),
    "Hebrew": ("שָׁלוֹם", "שלום"),
    "Persian": ("می\u200cخواهم", "میخواهم"),
    "Korean": ("안녕하세요, 세계!", "안녕하세요 세계"),
    "Turkish": ("İyi ışık", "iyi ışık"),
    "Chinese": ("我喜欢 Python3！", "我 喜 欢 python3"),
    "Japanese": ("コーヒーを", "コー ヒー を"),
    "Thai": ("สวัสดี", "ส วั ส ดี"),
}


@pytest.mark.parametrize(
    ("transcript", "line"),
    [
        ("Oh, my God!  [LAUGHTER]", "oh my god"),
        ("I don't know.", "i dont know"),
        ("I don’t know", "i dont know"),
        ("I don‘t know‘", "i dont know"),
        ("well--you see", "well you see"),
        ("a_b", "a b"),
        ("Heute Abend könnte ich", "heute abend könnte ich"),
        ("[BREATHING]", ""),
        ("...", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_lines_are_compared_without_case_tags_and_punctuation(transcript, line):
    assert normalise(transcript) == line


def test_what_was_spoken_has_neither_tags_nor_double_blanks():
    assert spoken("[LAUGHTER] Oh,  well.[BREATHING]\tYes ") == "Oh, well. Yes"
    assert spoken("[LAUGHTER]") == ""
    assert spoken(None) == ""


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_whole_in_every_language_and_unicode_form(language, form):
    text, line = LANGUAGES[language]
    assert normalise(unicodedata.normalize(form, text)) == line
    assert normalise(unicodedata.normalize(form, text.lower())) == line


def test_text_encoders_and_digests_know_one_form():
    for text, _ in LANGUAGES.values():
        known = spoken(text)
        assert spoken(unicodedata.normalize("NFD", text)) == known
        assert unicodedata.is_normalized("NFC", known)
        assert unicodedata.is_normalized("NFC", compared(text))
    # as it has always been: features of a text in ASCII are found again
    assert digest(["text", spoken("Who said that?")]).startswith("c64b715e")


def test_what_nobody_sees_is_gone_but_joiners():
    assert spoken("\ufeffTa\u00adge\u200bund \u200fNacht") == "Tage und Nacht"
    assert spoken("می\u200cخواهم") == "می\u200cخواهم"
    assert normalise("❤️ 5") == "5"
