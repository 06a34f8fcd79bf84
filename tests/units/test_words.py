import pytest

from sermm.units.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don’t know -- 'cause it's well-known.", "I don't know 'cause it's well known"),
        ("[LAUGHTER] no, no; yes!", "no no yes"),
        ("Tüten für 3 snake_case", "Tüten für 3 snake case"),
        ("‘No’ fu\u0308r 8 o‘clock", "No' für 8 o'clock"),
        ("नमस्ते, आप कैसे हैं", "नमस्ते आप कैसे हैं"),
        ("تَكتُبُ می\u200cخواهم", "تَكتُبُ می\u200cخواهم"),
        ("我喜欢 Python", "我 喜 欢 Python"),
        ("[LAUGHTER]", ""),
        (" ' -- ''", ""),
        ("", ""),
    ],
)
def test_words(text, words):
    assert words_of(text) == words.split()
