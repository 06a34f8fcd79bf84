"""What the demo corpus will say: shares, balance, scripts; needs no synthesiser."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from sermm.core.errors import InputError
from sermm.core.records import Utterance
from sermm.corpora.iemocap.counts import Counts
from sermm.corpora.iemocap.layout import UTTERANCE_ID, act_of, speaker_of
from sermm.demo.corpus import expected_counts
from sermm.demo.plan import FOUR, DemoSettings, plan
from sermm.demo.prosody import FEELINGS, TALKERS, draw_prosody
from sermm.demo.ratings import draw_attributes, draw_votes
from sermm.demo.sentences import draw_sentence


def settings(**changes):
    options = {
        "seed": 0,
        "utterances": 400,
        "text_cue": 0.7,
        "speech_cue": 1.0,
        "conflict": 0.1,
    }
    return DemoSettings(**{**options, **changes})


def turns_of(planned):
    return [turn for dialogues in planned.values() for d in dialogues for turn in d.turns]


def four_of(planned):
    return [turn for turn in turns_of(planned) if turn.label in (*FOUR, "exc")]


def test_a_seed_gives_the_same_plan_and_another_seed_another():
    assert plan(settings()) == plan(settings())
    assert plan(settings()) != plan(settings(seed=1))


@pytest.mark.parametrize("utterances", [40, 43, 400])
def test_every_session_has_all_classes_in_both_acts(utterances):
    planned = plan(settings(utterances=utterances))
    assert len(four_of(planned)) == utterances
    assert all(UTTERANCE_ID.fullmatch(turn.id) for turn in turns_of(planned))
    for session in planned:
        here = [turn for d in planned[session] for turn in d.turns]
        for act in ("improvised", "scripted"):
            labels = {turn.label for turn in here if act_of(turn.id) == act}
            assert labels >= {"ang", "hap", "sad", "neu", "fru", "xxx"}
        classes = Counter(
            FEELINGS[t.label] for t in here if t in four_of({session: planned[session]})
        )
        assert max(classes.values()) - min(classes.values()) <= 2


@pytest.mark.parametrize("conflict", [0.0, 0.1, 0.5])
def test_the_share_of_conflicting_utterances_is_the_one_asked_for(conflict):
    four = four_of(plan(settings(conflict=conflict)))
    share = sum(turn.conflicting for turn in four) / len(four)
    assert share == pytest.approx(conflict, abs=0.02)


@pytest.mark.parametrize("text_cue", [0.0, 0.7, 1.0])
def test_the_share_of_telling_words_is_the_one_asked_for(text_cue):
    four = four_of(plan(settings(text_cue=text_cue, conflict=0.0)))
    emotional = [turn for turn in four if turn.label != "neu" and turn.transcript != "[LAUGHTER]"]
    share = sum(turn.wording == FEELINGS[turn.label] for turn in emotional) / len(emotional)
    assert share == pytest.approx(text_cue, abs=0.02)


def test_scripts_recur_and_their_telling_lines_keep_their_label():
    labels = defaultdict(list)
    for turn in turns_of(plan(settings(conflict=0.0))):
        if act_of(turn.id) == "scripted":
            labels[turn.wording, turn.transcript].append(turn.label)
    assert min(len(found) for found in labels.values()) == 5
    assert all(len(set(found)) == 1 for (word, _), found in labels.items() if word != "neu")
    assert any(len(set(found)) > 1 for (word, _), found in labels.items() if word == "neu")


def test_who_wears_the_markers_is_not_who_talks_in_about_half():
    turns = turns_of(plan(settings()))
    other = sum(speaker_of(turn.id) != turn.id[:6] for turn in turns)
    assert 0.4 < other / len(turns) < 0.6


def test_each_session_has_one_turn_of_laughter_only():
    for dialogues in plan(settings()).values():
        turns = [turn for d in dialogues for turn in d.turns]
        assert [t.label for t in turns if t.transcript == "[LAUGHTER]"] == ["hap"]


def test_expected_counts_are_those_of_the_records(tmp_path):
    planned = plan(settings(utterances=40))
    counts = expected_counts(planned)
    assert counts.four_by_class == {"ang": 10, "hap": 10, "sad": 10, "neu": 10}
    assert counts.turns_by_session == dict.fromkeys("12345", 13)
    assert counts.turns_by_label["xxx"] == counts.turns_by_label["fru"] == 10
    one = Utterance("a", "demo", tmp_path, "exc", "Ses01F", group="1", dialogue="d", act="scripted")
    assert Counts.of([one]).four_by_class == {"hap": 1}


def test_the_voice_follows_the_label_only_as_far_as_the_cue_says():
    talker = TALKERS["Ses01F"]

    def mean(label, cue):
        draws = np.random.default_rng(3)
        drawn = [draw_prosody(talker, label, cue, draws) for _ in range(200)]
        return np.mean([[p.pitch, p.range, p.rate, p.level_db, p.tilt] for p in drawn], axis=0)

    assert mean("ang", 0.0) == pytest.approx(mean("sad", 0.0))
    assert (mean("ang", 1.0) > mean("neu", 1.0)).all()
    assert (mean("sad", 1.0) < mean("neu", 1.0)).all()


def test_sentences_differ_in_their_frames_not_in_their_topics():
    draws = np.random.default_rng(0)
    sentences = {w: {draw_sentence(w, draws) for _ in range(500)} for w in ("ang", "hap", "neu")}
    assert len(sentences["ang"]) > 250
    assert not sentences["ang"] & sentences["hap"]
    assert all(any("landlord" in s for s in found) for found in sentences.values())
    assert not any("{" in s for found in sentences.values() for s in found)


def test_raters_agree_on_the_label_unless_it_is_undecided():
    draws = np.random.default_rng(0)
    for _ in range(50):
        votes = [vote.labels[0] for vote in draw_votes("sad", "F1", draws) if vote.rater[0] == "E"]
        assert Counter(votes).most_common(1)[0][0] == "Sadness"
        votes = [vote.labels[0] for vote in draw_votes("xxx", "F1", draws) if vote.rater[0] == "E"]
        assert len(set(votes)) == 3


def test_mean_ratings_are_the_means_of_the_raters():
    mean, rated = draw_attributes("ang", np.random.default_rng(0))
    valences = [given.valence for _, given in rated]
    assert mean.valence == round(sum(valences) / 3, 4)
    assert all(value in (1, 2, 3, 4, 5) for value in valences)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"utterances": 10}, "data.utterances: got 10, expected 40"),
        ({"text_cue": 1.5}, "data.text_cue: got 1.5, expected 0 to 1"),
        ({"conflict": -0.1}, "data.conflict: got -0.1, expected 0 to 1"),
        ({"speech_cue": 9.0}, "data.speech_cue: got 9.0, expected 0 to 3"),
    ],
)
def test_options_out_of_range_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        settings(**change)
