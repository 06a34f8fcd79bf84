import pytest

from sermm.core.errors import InputError
from sermm.core.records import Fold

LABELS = {"a": "ang", "b": "sad", "c": "ang", "d": "sad", "e": "sad"}
SPEAKERS = {"a": "1", "b": "1", "c": "2", "d": "2", "e": "3"}


def checked(train, val, test, leaky=False):
    return Fold.checked(
        1, train, val, test, labels=LABELS, speakers=SPEAKERS, classes=("ang", "sad"), leaky=leaky
    )


def test_ids_are_sorted_and_the_digest_ignores_their_order():
    fold = checked(["b", "a"], ["e"], ["d", "c"])
    assert fold.train == ("a", "b")
    assert fold.digest == checked(["a", "b"], ["e"], ["c", "d"]).digest
    assert fold.digest != checked(["a", "b"], [], ["c", "d"]).digest


def test_digest_is_the_same_on_every_machine():
    # SHA-256 of [["a","b"],["e"],["c","d"]], by any other tool.
    expected = "baf95a4e6f4bcf67ff99119293b5b84e71ea13b3daf80e60fdfabc26d9c8f3bb"
    digest = checked(["a", "b"], ["e"], ["c", "d"]).digest
    assert digest == expected


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((["a", "b"], ["b"], ["c", "d"]), "both train and val"),
        ((["a", "b"], [], ["a", "c", "d"]), "both train and test"),
        ((["a", "b", "c"], [], ["d", "c"]), "both train and test"),
        ((["a", "d"], ["e"], ["c", "b"]), r"talkers \['1', '2'\]"),
        ((["a", "b"], ["e"], ["d"]), "no test utterance of class ang"),
        ((["b"], ["e"], ["c", "d"]), "no train utterance of class ang"),
    ],
)
def test_worthless_folds_are_refused(parts, says):
    with pytest.raises(InputError, match=says):
        checked(*parts)


def test_a_leaky_protocol_may_share_talkers():
    assert checked(["a", "d"], ["e"], ["c", "b"], leaky=True).test == ("b", "c")
