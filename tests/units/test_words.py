import pytest

from sermm.units.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don’t know -- 'cause it's well-known.", "I don't know 'cause it's well known"),
        ("[LAUGHTER] no, no; yes!", "no no yes"),
        ("Tüten für 3 snake_case", "Tüten für 3 snake case"),
        ("[LAUGHTER]", ""),
        (" ' -- ''", ""),
        ("", ""),
    ],
)
def test_words(text, words):
    assert words_of(text) == words.split()
