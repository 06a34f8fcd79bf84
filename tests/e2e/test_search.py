"""A trial of a search in the verbs that go on from a run: nobody looks at its test part."""

import pytest

from sermm.cli.main import main
from sermm.configuration.verbs import RunConfig
from sermm.engine.placing import corpus_and_fold


@pytest.fixture
def trial(train_words, tmp_path):
    words = [*train_words, "model=speech_only", "trainer.max_epochs=1", "study=searched"]
    assert main([*words, "withhold_test=true"]) == 0
    (folder,) = (path.parent for path in (tmp_path / "runs" / "searched").glob("*/result.json"))
    return folder


@pytest.fixture
def fold(trial):
    return corpus_and_fold(RunConfig.load(trial / "config.yaml"))[1]


def test_a_trial_answers_for_validation_and_own_files_only(trial, fold, tones, capsys):
    for words in (
        ["evaluate"],
        ["evaluate", "split=all"],
        ["explain", f"utterance={fold.test[0]}"],
    ):
        assert main([words[0], str(trial), *words[1:]]) == 2
        assert "its test part is never looked at" in capsys.readouterr().err
    assert main(["evaluate", str(trial), "split=val"]) == 0
    assert f"val: {len(fold.val)} utterances" in capsys.readouterr().out
    assert main(["predict", str(trial), str(tones.parent / "0ang0.wav")]) == 0


def test_the_part_of_another_fold_may_be_the_trials_own(trial):
    refused = []
    for fold in range(1, 6):
        for split in ("train", "val", "test"):
            words = ["evaluate", str(trial), f"fold={fold}", f"split={split}"]
            refused += [split] if main(words) == 2 else []
    # Each utterance is tested in one fold, validated in one and trained on in three.
    assert sorted(refused) == ["test", "train", "train", "train", "val"]
