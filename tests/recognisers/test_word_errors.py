import unicodedata

import pytest

from sermm.recognisers.word_errors import unwritable, word_errors


def test_errors_by_hand():
    errors = word_errors(
        [
            ("Kids are talking, by the door.", "KIDS ARE TALKING BY THE DOOR"),
            # are deleted, sitting -> singing, old inserted
            ("Dogs are sitting by the door.", "dogs singing by the old door"),
            ("I don't know [LAUGHTER]", "i dont"),
        ]
    )
    assert (errors.utterances, errors.words) == (3, 15)
    assert (errors.substitutions, errors.deletions, errors.insertions) == (1, 2, 1)
    assert errors.wer == pytest.approx(4 / 15)


def test_no_words_and_no_transcript_are_counted_apart():
    errors = word_errors([("[LAUGHTER]", "ha ha"), ("...", ""), (None, "what was that"), ("a", "")])
    assert (errors.utterances, errors.words, errors.deletions, errors.insertions) == (1, 1, 1, 0)
    assert (errors.wordless, errors.words_in_wordless, errors.untranscribed) == (2, 2, 1)
    assert errors.wer == 1.0


def test_no_rate_without_a_word():
    assert word_errors([]).wer is None
    assert word_errors([(None, "so"), ("", "so")]).wer is None


def test_a_rate_may_exceed_one():
    assert word_errors([("yes", "a b c")]).wer == 3.0


def test_characters_that_cannot_be_written():
    found = unwritable(
        ["It's $5, [LAUGHTER 7] isn't it?", "Fünf für 5.", "None of these!", None],
        frozenset("abcdefghijklmnopqrstuvwxyz'"),
    )
    assert found.characters == {"5": 2, "ü": 2, "$": 1}
    assert found.utterances == 2


@pytest.mark.parametrize(
    "text", ["Fünf süße Tüten", "Tiếng Việt", "नमस्ते आप कैसे हैं", "안녕하세요 세계"]
)
def test_both_forms_of_unicode_are_the_same_words(text):
    apart = unicodedata.normalize("NFD", text)
    for pair in ((text, apart), (apart, text)):
        errors = word_errors([pair])
        assert (errors.wer, errors.words) == (0.0, len(text.split()))


def test_a_script_without_blanks_is_scored_by_character():
    errors = word_errors([("我喜欢你", "我喜欢他")])
    assert (errors.words, errors.substitutions, errors.wer) == (4, 1, 0.25)


def test_what_can_be_written_in_parts_can_be_written():
    apart = frozenset(unicodedata.normalize("NFD", "öa") + "é")
    assert unwritable(["Ö a\u0301", unicodedata.normalize("NFD", "éü")], apart).characters == {
        "á": 1,
        "ü": 1,
    }
    assert unwritable(["مُ می\u200cخ"], frozenset("میخ")).characters == {}
