"""Whether what a run says of itself is what a paper's table declares."""

import pytest

from sermm.runs.reading.papers import PaperTable
from sermm.runs.setup import EncoderSetup, Setup, declared, unlike


def encoder(key="encoder.speech", name="facebook/wav2vec2-base", weights="pre-trained", **settings):
    modality = key.rpartition(".")[2]
    return EncoderSetup(key, modality, name, weights, "abc", 94, {"layers": "last", **settings})


def run(*encoders, variant="linear frame", **recipe):
    return Setup(variant, encoders, {"trainer.max_epochs": 100, **recipe})


BASE = {"encoder.speech": "facebook/wav2vec2-base"}


@pytest.mark.parametrize("name", ["facebook/wav2vec2-base", "wav2vec2-base"])
def test_a_checkpoint_is_known_by_the_hubs_name_and_by_that_of_its_folder(name):
    assert unlike(run(encoder(name=name)), BASE) == []


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (encoder(name="mfcc and BiLSTM", weights="random"), "mfcc and BiLSTM (from scratch)"),
        (encoder(weights="random", trainable="none"), "(random weights, frozen)"),
        (
            encoder(name="facebook/hubert-base-ls960", trainable="none"),
            "hubert-base-ls960 (frozen)",
        ),
        (encoder(name="wav2vec2-base-960h", trainable=2), "wav2vec2-base-960h (top 2 fine-tuned)"),
    ],
)
def test_another_encoder_is_named_with_its_weights(there, says):
    (phrase,) = unlike(run(there), BASE)
    assert says in phrase
    assert phrase.endswith("the paper's facebook/wav2vec2-base")


def test_an_encoder_from_elsewhere_in_the_system_is_not_the_one_that_was_chosen():
    own = EncoderSetup("model.system.speech", "speech", "40 MFCC", "fixed", None, 0, {})
    assert "40 MFCC (nothing to train)" in unlike(run(own), BASE)[0]


def test_what_does_not_apply_is_not_compared():
    text = encoder("encoder.text", "bert-base-uncased")
    expected = {**BASE, "text.source": "human", "encoder.text": "bert-base-uncased"}
    assert unlike(run(encoder()), expected) == []
    assert unlike(run(text), BASE) == []


@pytest.mark.parametrize(
    ("got", "wanted", "same"),
    [
        (100, 100, True), (100, 100.0, True), (1, 100, False), (11, [100, 11], True),
        (None, "any", False), (4, "any", True), (None, None, True), (4, None, False),
        (True, 1, False), ("global", "global", True), ("none", "global", False),
        (1e-3, 0.001, True), (1e-3, 1.1e-3, False),
    ],
)  # fmt: skip
def test_values_are_compared_by_what_they_are(got, wanted, same):
    found = unlike(run(**{"trainer.max_epochs": got}), {"trainer.max_epochs": wanted})
    assert (found == []) is same


def test_layers_of_an_encoder_can_be_declared():
    (phrase,) = unlike(run(encoder()), {"encoder.speech.layers": "transformer"})
    assert phrase == "encoder.speech.layers=last, the paper's transformer"


def test_a_table_says_what_holds_for_some_of_its_systems():
    setup = {
        "runs": 25, "trainer.batch_size": 32,
        "by_system": {"co": {"model.learning.lr": 5e-5}, "co b": {"trainer.batch_size": 8}},
    }  # fmt: skip
    assert declared(setup, "late a") == {"runs": 25, "trainer.batch_size": 32}
    assert declared(setup, "co a")["model.learning.lr"] == 5e-5
    assert declared(setup, "coattention a") == declared(setup, "late a")
    assert declared(setup, "co b")["trainer.batch_size"] == 8


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        ({"encoder.speach": "x"}, "setup has encoder.speach; expected runs, by_system or keys"),
        ({"by_system": {"co": {"lr": 1}}}, "setup has lr"),
        ({"by_system": []}, "setup.by_system is \\[\\]"),
        ({"runs": 0}, "setup.runs is 0"),
        ({"runs": True}, "setup.runs is True"),
    ],
)
def test_a_declaration_of_what_no_run_says_is_refused(paper, setup, says):
    with pytest.raises(ValueError, match=says):
        PaperTable.of(paper(setup=setup))
