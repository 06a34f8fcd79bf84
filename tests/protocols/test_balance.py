"""Every row of a corpus is counted once, whatever leaves it out."""

from itertools import product
from pathlib import Path

import pytest

from sermm.configuration.component import Component
from sermm.configuration.compose import each_of
from sermm.core.records import Problem, Reading, Utterance
from sermm.protocols.balance import NONE, Balance

PROTOCOLS = {name: Component.of(plain).make() for name, plain in each_of("protocol").items()}
LABELS = ("ang", "hap", "exc", "neu", "sad", "fru", "xxx", "(none)", None)
ACTS = ("scripted", "improvised", None)


def utterance(name, label, act=None):
    return Utterance(name, "small", Path("x.wav"), label, "A", act=act)


def total(balance):
    left_out = [*balance.problems.values(), *balance.labels.values(), *balance.acts.values()]
    return balance.utterances + sum(left_out) + balance.unaligned


EVERY = tuple(
    utterance(f"u{i}", label, act) for i, (label, act) in enumerate(product(LABELS, ACTS))
)
LOST = (Problem("t.csv, line 3", "no such file", "missing_wav"),)
BAD = (
    Problem("u0", "is silent", "silent", kept=True),
    Problem("u1", "cannot be decoded", "undecodable"),
    Problem("u1", "is short", "short"),
    Problem("u4", "is silent", "silent", kept=True),
)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("rows", [0, len(EVERY), len(EVERY) + 1, len(EVERY) + 5])
@pytest.mark.parametrize("problems", [(), LOST, LOST * 7], ids=len)
def test_it_adds_up(name, rows, problems):
    protocol = PROTOCOLS[name]
    reading = Reading(EVERY, problems, rows)
    for aligned in (None, set(), {"u1", "u2", "u3"}):
        for bad in ((), BAD):
            balance = Balance.of(reading, protocol, aligned, bad)
            assert total(balance) == balance.rows == max(rows, len(EVERY))
            assert sum(balance.lines().values()) == balance.rows - balance.utterances


def test_who_leaves_out_what():
    balance = Balance.of(
        Reading(EVERY, LOST, len(EVERY) + 1), PROTOCOLS["bian2024_actual"], None, BAD
    )
    assert balance.problems == {"missing_wav": 1}
    assert balance.labels == {NONE: 6, "xxx": 3}
    assert balance.acts == {NONE: 6, "improvised": 6}
    assert balance.utterances == 6
    assert str(balance) == (
        "6 of 28 rows take part; left out by label: (none) 6, xxx 3; left out by act: (none) 6, "
        "improvised 6; problems: missing_wav 1"
    )


def test_an_utterance_of_several_problems_counts_once():
    heard = Balance.of(Reading(EVERY), PROTOCOLS["loso4"], None, BAD)
    assert heard.problems == {"undecodable": 1}


def test_rows_that_nothing_explains_are_not_hidden():
    balance = Balance.of(Reading(EVERY, LOST, len(EVERY) + 3), PROTOCOLS["loso4"])
    assert balance.problems == {"missing_wav": 3}
    assert Balance.of(Reading(EVERY, (), len(EVERY) + 3), PROTOCOLS["loso4"]).problems == {
        "unexplained": 3
    }
