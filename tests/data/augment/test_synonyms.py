import pickle
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from sermm.configuration.groups import SynonymsConfig
from sermm.core.errors import InputError
from sermm.core.records import Utterance
from sermm.data.augment.synonyms import Reworded, Synonyms, in_case_of, words_of
from sermm.data.augment.wordnet import DEBIAN, folder_of, inflected, synonyms
from sermm.data.batching import BatchPlan
from sermm.data.dataset import Inputs, UtteranceDataset, as_it_is

KNOWN = {"terrible": ("awful", "dreadful"), "stop": ("halt",), "jack": ("knave",)}
TEXTS = {
    "a": "Terrible! Just terrible, TERRIBLE.",
    "b": "Don't stop, Jack. Stop-and-go?",
    "c": "",
    "d": "JACK STOP",
}
wordnet = pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="WordNet is not installed (Debian package wordnet-base)"
)


def thesaurus(words):
    return {word: KNOWN[word] for word in words if word in KNOWN}


def tokenize(texts):
    """A token a letter."""
    return [[ord(letter) for letter in text] for text in texts]


def reworded(p=1.0, seed=0):
    return Reworded(Synonyms(p, None, seed, thesaurus), TEXTS, tokenize)


def read(row):
    return "".join(chr(token) for token in row.tolist())


def test_words_are_those_between_blanks_and_punctuation():
    assert words_of(["Don't stop!", "stop-and-go, 'now'"]) == {
        "don't",
        "stop",
        "stop-and-go",
        "now",
    }


@pytest.mark.parametrize(
    ("word", "found"), [("stop", "halt"), ("Stop", "Halt"), ("STOP", "HALT"), ("I", "Halt")]
)
def test_case_is_kept(word, found):
    assert in_case_of(word, "halt") == found


def test_case_and_punctuation_stay_and_names_do():
    one = reworded()
    found = Counter(one.text("a", epoch) for epoch in range(40))
    choices = {word.lower() for text in found for word in words_of([text])}
    assert choices == {"awful", "dreadful", "just"}
    assert {"Awful! Just awful, AWFUL.", "Dreadful! Just awful, DREADFUL."} <= set(found)
    assert one.text("b", 0) == "Don't halt, Jack. Stop-and-go?"
    assert one.text("c", 0) == ""
    # What is written in capitals has no names to tell by.
    assert one.text("d", 0) == "KNAVE HALT"


def test_each_word_is_replaced_with_probability_p():
    texts = {f"u{i}": "stop stop stop stop" for i in range(500)}
    one = Reworded(Synonyms(0.1, None, 0, thesaurus), texts, tokenize)
    found = Counter(word for i in texts for word in one.text(i, 0).split())
    # Of 2000 words 200, with a standard deviation of 13.4.
    assert abs(found["halt"] - 200) < 54


def test_what_is_replaced_follows_from_seed_epoch_and_utterance_only():
    one = reworded(0.5)
    whole = [one.text("a", epoch) for epoch in range(30)]
    assert whole == [reworded(0.5).text("a", epoch) for epoch in range(30)]
    assert len(set(whole)) > 3
    assert whole != [reworded(0.5, seed=1).text("a", epoch) for epoch in range(30)]
    assert reworded(0.0).text("a", 0) == TEXTS["a"]


def loader(one, workers):
    tokens = {i: torch.tensor(row) for i, row in zip(TEXTS, tokenize(TEXTS.values()), strict=True)}
    spoken = [Utterance(i, "none", Path("none.wav"), "neu", "t") for i in TEXTS if i != "c"]
    dataset = UtteranceDataset(spoken, Inputs(tokens=tokens), reworded=one)
    plan = BatchPlan([1.0] * len(spoken), size=2, seed=0)
    plan.set_epoch(3)
    return DataLoader(dataset, batch_sampler=plan, num_workers=workers, collate_fn=as_it_is)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_the_tokens_of_the_epoch(workers):
    one = reworded(0.5)
    found = {
        i: read(row)
        for batch in loader(one, workers)
        for i, row in zip(batch.ids, batch.tokens.split(), strict=True)
    }
    assert found == {i: one.text(i, 3) for i in ("a", "b", "d")}


def test_a_batch_without_an_epoch_is_refused():
    with pytest.raises(ValueError, match="BatchPlan"):
        loader(reworded(), 0).dataset[0]


def test_it_goes_to_workers_that_share_no_memory():
    one = pickle.loads(pickle.dumps(reworded()))
    assert one.text("b", 0).startswith("Don't halt")


def test_what_is_said_of_it():
    assert str(reworded(0.5)) == "synonyms (p 0.5, wordnet None) of 3 of 6 different words"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"p": 2, "wordnet": None}, r"augment\.synonyms\.p=2: expected a number from 0 to 1"),
        ({"p": 0.1}, r"augment\.synonyms\.wordnet is missing"),
        ({"p": 0.1, "wordnet": "/nowhere"}, r"/nowhere has no index\.noun; .*wordnet-base.*dict/"),
    ],
)
def test_wrong_settings(settings, says):
    def made():
        asked = SynonymsConfig.read(settings, "augment.synonyms")
        return Synonyms(asked.p, asked.wordnet, 0)

    with pytest.raises(InputError, match=says):
        made()


def test_the_folder_is_the_given_one_then_that_of_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path))
    with pytest.raises(InputError, match=f"{tmp_path} has no index.noun"):
        folder_of(None)
    with pytest.raises(InputError, match="/nowhere has no"):
        folder_of("/nowhere")


@pytest.mark.parametrize(
    ("base", "s", "ed", "ing"),
    [
        ("halt", "halts", "halted", "halting"),
        ("detest", "detests", "detested", "detesting"),
        ("believe", "believes", "believed", "believing"),
        ("agree", "agrees", "agreed", "agreeing"),
        ("hurry", "hurries", "hurried", "hurrying"),
        ("play", "plays", "played", "playing"),
        ("approach", "approaches", "approached", "approaching"),
    ],
)
def test_regular_forms(base, s, ed, ing):
    assert [inflected(base, suffix) for suffix in ("s", "ed", "ing")] == [s, ed, ing]


@wordnet
def test_synonyms_of_wordnet():
    words = [
        *("terrible", "sick", "stop", "wanted", "thinking", "kids", "quickly"),
        # Irregular; no synonym; none that was counted; mostly no part of speech; not in WordNet.
        *("stopped", "sad", "lunches", "loving", "don't"),
        # Function words, and a letter that is a unit.
        *("not", "will", "have", "well", "a", "he"),
    ]
    assert synonyms(folder_of(None), words) == {
        "terrible": ("awful", "dreadful", "fearful", "frightening"),
        "sick": ("ill",),
        "stop": ("halt",),
        "wanted": ("desired",),
        "thinking": ("believing", "conceiving", "considering"),
        # Children is irregular.
        "kids": ("minors", "youngsters"),
        "lunches": ("luncheons",),
        "quickly": ("rapidly", "speedily"),
    }


@wordnet
def test_a_sentence_reworded_by_wordnet():
    texts = {"a": "Terrible! I wanted to stop."}
    one = Reworded(Synonyms(1.0, str(DEBIAN), 0), texts, tokenize)
    said = {one.text("a", epoch).split("!")[0] for epoch in range(40)}
    assert said == {"Awful", "Dreadful", "Fearful", "Frightening"}
    assert one.text("a", 0).endswith("! I desired to halt.")


def test_words_with_marks_are_whole():
    assert words_of(["नमस्ते आप", "ca\u0301fe\u0301s"]) == {"नमस्ते", "आप", "cáfés"}
