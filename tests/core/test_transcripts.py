import pytest

from sermm.core.transcripts import normalise, spoken


@pytest.mark.parametrize(
    ("transcript", "line"),
    [
        ("Oh, my God!  [LAUGHTER]", "oh my god"),
        ("I don't know.", "i dont know"),
        ("I don’t know", "i dont know"),
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
