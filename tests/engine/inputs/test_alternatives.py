"""Protocols are tried on a corpus that the one asked for does not fit."""

from functools import partial
from pathlib import Path

import pytest

from sermm.configuration.component import Component
from sermm.configuration.compose import compose, each_of, resolved
from sermm.core.errors import InputError
from sermm.core.records import Problem, Reading, Utterance
from sermm.engine.inputs.alternatives import Trial, ways_out
from sermm.engine.inputs.corpus import chosen
from sermm.engine.inputs.refusal import unfit
from sermm.protocols.balance import Balance

FOUR = ("ang", "hap", "neu", "sad")


class Reader:
    def read(self):
        raise NotImplementedError


def corpus(said, n=5, group=None):
    """Each talker says n utterances of each of the classes that belong to it."""
    return tuple(
        Utterance(
            f"{talker}{label}{i}", "small", Path("x.wav"), label, talker, (group or {}).get(talker)
        )
        for talker, labels in said.items()
        for label in labels
        for i in range(n)
    )


def trial(utterances, *words):
    asked = resolved(compose("data", words))["protocol"]
    return Trial(asked, utterances, partial(chosen, Reader()))


def accepts(utterances, words):
    """Whether words of a message make folds of the corpus."""
    return trial(utterances, *words.replace("'", "").split()).accepts(
        trial(utterances, *words.replace("'", "").split()).asked
    )


@pytest.mark.parametrize("asked", ["groups5", "speaker_out", "loso4", "loso4_rand10"])
@pytest.mark.parametrize("n_talkers", [2, 3, 7])
def test_what_is_named_is_accepted(asked, n_talkers):
    utterances = corpus(dict.fromkeys("ABCDEFG"[:n_talkers], FOUR))
    lines = ways_out(trial(utterances, f"protocol={asked}"))
    named = [words for line in lines for words in line.rpartition(": ")[2].split(", ")]
    assert named
    assert all(accepts(utterances, words) for words in named)


def test_sessions_that_are_few():
    half = corpus(dict.fromkeys("ABCD", FOUR), group={"A": "1", "B": "1", "C": "2", "D": "2"})
    (line,) = ways_out(trial(half, "protocol=loso4"))
    assert line.startswith("protocols that accept this corpus: protocol=loso4_noval, protocol=")
    assert "protocol=speaker_out" in line
    assert "leaky" not in line


def test_classes_that_are_not_there_are_left_out():
    three = corpus(dict.fromkeys("ABCDE", ("ang", "hap", "neu")))
    (line,) = ways_out(trial(three, "protocol=groups5"))
    assert line.startswith("with 'protocol.classes=[ang,hap,neu]' protocols that accept")
    assert "protocol=groups5" in line


def test_own_words_are_taken_as_classes_and_kept():
    own = corpus(dict.fromkeys("ABCDE", ("calm", "very stressed")))
    (line,) = ways_out(trial(own, "protocol=groups5"))
    assert line.startswith("with 'protocol.classes=[calm,\"very stressed\"]' protocols")
    two = corpus(dict.fromkeys("AB", ("calm", "stressed")))
    lines = ways_out(trial(two, "protocol=groups5", "protocol.classes=[calm,stressed]"))
    assert lines[0].endswith("protocol=speaker_out protocol/validation_rule=none")


LACKING = {"A": FOUR[:3], "B": FOUR[1:], "C": FOUR[:3], "D": FOUR[1:], "E": FOUR[:3], "F": FOUR[1:]}


def test_talkers_that_lack_a_class_are_put_together_or_allowed():
    utterances = corpus(LACKING)
    allowed, grouped = ways_out(trial(utterances, "protocol=speaker_out"))
    assert "protocol=speaker_out protocol.absent_classes=allow" in allowed
    assert "makes it fit: protocol=loso4, " in grouped
    groups = grouped.partition("for instance ")[2].partition(", makes")[0].split(" | ")
    of = {talker: str(i) for i, names in enumerate(groups) for talker in names.split(", ")}
    assert accepts(corpus(LACKING, group=of), "protocol=loso4")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"A": FOUR}, "all of it is said by one talker, A"),
        (dict.fromkeys("ABCDE", ("ang",)), "there is nothing to tell apart, only ang"),
        ({"A": ("ang", "hap"), "B": ("neu", "sad")}, r"ang \(talker A\), hap .*, sad \(talker B\)"),
    ],
)
def test_where_nothing_is_accepted_it_says_why(said, why):
    (line,) = ways_out(trial(corpus(said), "protocol=speaker_out"))
    assert line.startswith("no protocol accepts this corpus: ")
    with pytest.raises(InputError, match=why):
        raise InputError(line)


def test_the_cause_stands_first_and_an_odd_talker_is_named():
    utterances = (*corpus({"A": FOUR, "B": FOUR, "C": FOUR}), *corpus({"CC": ("ang",)}, 1))
    of = trial(utterances, "protocol=speaker_out")
    problems = [Problem("t.csv, line 9", "no such file", "missing_wav")] * 2
    balance = Balance.of(Reading(utterances), of.protocol)
    lines = str(unfit(InputError("the cause"), of, balance, problems)).splitlines()
    assert lines[0] == "the cause"
    assert lines[1].split() == ["talker", *FOUR]
    assert lines[5].split() == ["CC", "1", "0", "0", "0"]
    assert lines[6] == (
        "talker CC has 1 of them (CCang0), the median talker 20: is the name spelt right?"
    )
    assert lines[7:9] == [
        "61 of 61 rows take part",
        "problem missing_wav, 2 times; the first: t.csv, line 9: no such file",
    ]
    assert "protocol=speaker_out protocol.absent_classes=allow" in lines[9]


def test_of_many_talkers_those_that_lack_most_are_shown():
    utterances = corpus({**{f"t{i}": FOUR for i in range(30)}, "odd": ("ang",)}, 1)
    of = trial(utterances, "protocol=speaker_out")
    lines = str(unfit(InputError("x"), of, Balance.of(Reading(utterances), of.protocol), ()))
    assert "odd" in lines
    assert "and 11 more talkers" in lines


def test_every_protocol_is_composed_alone_as_with_a_verb():
    for name, plain in each_of("protocol").items():
        assert resolved(compose("data", [f"protocol={name}"]))["protocol"] == plain
        assert Component.of(plain).make().name == name
