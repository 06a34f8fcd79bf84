import json
from dataclasses import replace
from pathlib import Path

import pytest

from sermm.core.records import Problem, Reading, Utterance
from sermm.protocols.balance import Balance
from sermm.protocols.folds import LeaveOneGroupOut
from sermm.protocols.protocol import Protocol
from sermm.protocols.summary import absent, classes_by_fold, length_s, summarise
from sermm.protocols.validation import NextFold

PROTOCOL = Protocol(
    "p", {"ang": "ang", "exc": "hap"}, ("hap", "ang"), LeaveOneGroupOut(), NextFold()
)


@pytest.fixture
def reading():
    utterances = [
        Utterance(
            f"{g}{label}",
            "small",
            Path("x.wav"),
            label,
            speaker=f"t{g}",
            group=g,
            act="scripted" if g == "10" else None,
            transcript=label,
            dialogue=f"d{g}",
        )
        for g in ("2", "10", "1")
        for label in ("ang", "exc", "xxx")
    ]
    return Reading(tuple(utterances), (Problem("x.wav", "is not there", "missing_wav"),))


def test_the_summary_has_the_form_that_programs_rely_on(reading):
    folds = PROTOCOL.folds(reading.utterances, 0)
    summary = summarise(reading, PROTOCOL, folds, Balance.of(reading, PROTOCOL))
    digests = [fold.pop("digest") for fold in summary["folds"]]
    leaks = {"speakers": 0, "dialogues": 0, "transcripts": 2}
    assert summary == {
        "balance": {
            "rows": 9,
            "utterances": 6,
            "problems": {},
            "labels": {"xxx": 3},
            "acts": {},
            "unaligned": 0,
        },
        "utterances": 6,
        "labels": {"hap": 3, "ang": 3},
        "groups": {"1": 2, "2": 2, "10": 2},
        "acts": {"scripted": 2},
        "speakers": {"t1": 2, "t10": 2, "t2": 2},
        "speakers_by_class": {t: {"hap": 1, "ang": 1} for t in ("t1", "t10", "t2")},
        "folds": [{"fold": i, "train": 2, "val": 2, "test": 2, "leaks": leaks} for i in (1, 2, 3)],
        "problems": [
            {"where": "x.wav", "what": "is not there", "kind": "missing_wav", "kept": False}
        ],
    }
    assert list(summary["labels"]) == ["hap", "ang"]
    assert list(summary["groups"]) == ["1", "2", "10"]
    assert digests == [f.digest for f in PROTOCOL.folds(reading.utterances, 0)]
    json.dumps(summary)


def test_ids_on_request(reading):
    folds = PROTOCOL.folds(reading.utterances, 0)
    fold = summarise(reading, PROTOCOL, folds, Balance.of(reading, PROTOCOL), ids=True)["folds"][1]
    assert fold["test_ids"] == ["2ang", "2exc"]
    assert fold["val_ids"] == ["10ang", "10exc"]
    assert fold["train_ids"] == ["1ang", "1exc"]


def test_classes_by_fold(reading):
    folds = PROTOCOL.folds(reading.utterances, 0)
    assert classes_by_fold(reading, PROTOCOL, folds) == {i: {"hap": 1, "ang": 1} for i in (1, 2, 3)}
    assert list(absent(reading, PROTOCOL, folds)) == []


def test_parts_that_lack_a_class(reading):
    rest = tuple(u for u in reading.utterances if u.id != "2exc")
    allowed = replace(PROTOCOL, absent_classes="allow")
    folds = [allowed.fold(rest, number, 0) for number in (1, 2)]
    lacking = list(absent(Reading(rest), allowed, folds))
    assert lacking == [(1, "val", ("hap",)), (2, "test", ("hap",))]


def test_durations_of_what_is_selected(reading):
    durations = {"1ang": 1.0, "1exc": 2.0, "2ang": 6.0, "1xxx": 100.0}
    length = {"total": 9.0, "shortest": 1.0, "median": 2.0, "longest": 6.0}
    assert length_s(reading, PROTOCOL, durations) == length
    assert length_s(reading, PROTOCOL, {}) == {}
