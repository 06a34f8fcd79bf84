import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.words import Words
from sermm.models.floors import Lookup, Majority

TRAIN = ["I hate this", "I hate you so", "what a day", "what a day"]
LABELS = torch.tensor([0, 0, 1, 2])


def batch(words, transcripts, labels=None):
    ids = [torch.tensor(i, dtype=torch.int64) for i in words.tokenize(transcripts)]
    names = tuple(str(i) for i in range(len(transcripts)))
    return Batch(names, tokens=Ragged.pack(ids), label=labels)


@pytest.fixture
def lookup():
    words = Words()
    words.fit(TRAIN)
    system = Lookup(words, 3)
    system.observe(batch(words, TRAIN[:2], LABELS[:2]))
    system.observe(batch(words, TRAIN[2:], LABELS[2:]))
    return system


def shares(system, transcript):
    return system(batch(system.text, [transcript])).logits.exp()[0]


def test_majority_gives_the_shares_of_training():
    system = Majority(3)
    system.observe(Batch(("a", "b", "c", "d"), label=torch.tensor([1, 1, 1, 0])))
    found = system(Batch(("x",))).logits.exp()
    torch.testing.assert_close(found, torch.tensor([[2 / 7, 4 / 7, 1 / 7]]))


def test_a_known_line_gets_its_label_whatever_its_case_and_tags(lookup):
    assert shares(lookup, "[SIGH] i HATE this!").argmax() == 0
    assert shares(lookup, "i HATE this!")[0] > 0.99


def test_equally_near_lines_vote(lookup):
    found = shares(lookup, "what a day")
    assert found[1].item() == pytest.approx(0.5, abs=0.01)
    assert found[2].item() == pytest.approx(0.5, abs=0.01)


def test_the_nearest_line_wins(lookup):
    assert shares(lookup, "you so so").argmax() == 0


def test_without_a_common_word_the_prior_decides(lookup):
    for transcript in ("", "unheard words"):
        torch.testing.assert_close(shares(lookup, transcript), torch.tensor([3 / 7, 2 / 7, 2 / 7]))


def test_the_memory_survives_a_round_trip(lookup):
    words = Words()
    words.fit(TRAIN)
    other = Lookup(words, 3)
    other.load_state_dict(lookup.state_dict())
    for transcript in ("I hate you", "what a", ""):
        torch.testing.assert_close(shares(other, transcript), shares(lookup, transcript))


def test_words_are_kept_and_read_back(tmp_path):
    words = Words()
    words.fit(["Don't go", "go on"])
    words.save_assets(tmp_path)
    again = Words(assets=tmp_path)
    assert (
        again.tokenize(["Go don’t stop", ""])
        == words.tokenize(["Go don’t stop", ""])
        == [[2, 1, 0], []]
    )
    assert again.width == 4


def test_a_line_in_the_other_form_of_unicode_is_known():
    words = Words()
    words.fit(["für süße Tüten", "नमस्ते आप"])
    assert sorted(words.vocabulary) == ["für", "süße", "tüten", "आप", "नमस्ते"]
    assert words.tokenize(["fu\u0308r su\u0308ße Tu\u0308ten"]) == [[1, 2, 3]]
