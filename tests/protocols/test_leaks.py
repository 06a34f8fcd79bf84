from pathlib import Path

from sermm.core.records import Fold, Utterance
from sermm.protocols.leaks import Leaks, leaks


def utterance(uid, speaker, dialogue, transcript):
    return Utterance(
        uid, "small", Path("x.wav"), "ang", speaker, dialogue=dialogue, transcript=transcript
    )


def test_what_train_and_test_share_is_counted():
    some = [
        utterance("a", "A", "d1", "Who said that?"),
        utterance("b", "B", "d1", "[LAUGHTER]"),
        utterance("c", "C", "d2", "who said, that"),
        utterance("d", "C", None, None),
        utterance("e", "D", "d1", "Who said that!"),
        utterance("f", "A", "d3", "who said that"),
        utterance("g", "E", None, "[LAUGHTER]"),
        utterance("h", "E", "d4", "only in validation"),
        utterance("i", "E", "d3", "only in validation"),
    ]
    fold = Fold(1, ("a", "b", "c", "d"), ("h",), ("e", "f", "g", "i"))
    assert leaks(fold, some) == Leaks(1, 1, 2, (("e", "a"), ("f", "a")))
    assert leaks(fold, some, n_examples=1).examples == (("e", "a"),)


def test_a_line_is_the_same_in_both_forms_of_unicode():
    some = [
        utterance("a", "A", "d1", "Süße Tüten"),
        utterance("b", "B", "d2", "su\u0308ße tu\u0308ten"),
    ]
    assert leaks(Fold(1, ("a",), (), ("b",)), some).examples == (("b", "a"),)


def test_nothing_shared():
    some = [utterance("a", "A", "d1", "one"), utterance("b", "B", "d2", "two")]
    assert leaks(Fold(1, ("a",), (), ("b",)), some) == Leaks(0, 0, 0)
