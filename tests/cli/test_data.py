import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sermm.cli.data import render, run
from sermm.core.errors import InputError


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Six talkers say one angry, one happy clip each (0.1 and 0.3 s); one clip is missing."""
    monkeypatch.setenv("SERMM_CACHE", str(tmp_path / "cache"))
    rows = ["path,label,speaker,text"]
    noise = np.random.Generator(np.random.PCG64(0)).normal(0, 0.1, 4800)
    for talker in "ABCDEF":
        for label, n in (("ang", 1600), ("hap", 4800)):
            soundfile.write(tmp_path / f"{talker}{label}.wav", noise[:n], 16_000)
            rows.append(f"{talker}{label}.wav,{label},{talker},so {label}")
    rows.append("gone.wav,ang,F,")
    (tmp_path / "calls.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [
        "data=manifest",
        f"data.manifest={tmp_path / 'calls.csv'}",
        "protocol=groups5",
        "protocol.classes=[ang,hap]",
    ]


def cut(calls, *gone):
    """Takes rows out of the table."""
    path = Path(calls[1].removeprefix("data.manifest="))
    rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(r for r in rows if not r.startswith(gone)), encoding="utf-8")


def test_json(calls, capsys):
    assert run([*calls, "format=json", "ids=true"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["utterances"] == 12
    assert summary["labels"] == {"ang": 6, "hap": 6}
    assert summary["speakers_by_class"] == {name: {"ang": 1, "hap": 1} for name in "ABCDEF"}
    assert summary["groups"] == summary["acts"] == {}
    assert summary["speakers"] == dict.fromkeys("ABCDEF", 2)
    first = summary["folds"][0]
    assert [first[key] for key in ("fold", "train", "val", "test")] == [1, 6, 2, 4]
    assert first["leaks"] == {"speakers": 0, "dialogues": 0, "transcripts": 4}
    assert first["test_ids"] == ["Aang", "Ahap", "Bang", "Bhap"]
    assert first["val_ids"] == ["Cang", "Chap"]
    assert [p["kind"] for p in summary["problems"]] == ["missing_wav"]


def test_table(calls, capsys):
    assert run(calls) == 0
    text = capsys.readouterr().out
    assert text.startswith("manifest under groups5. Talkers sorted by id")
    assert "12 utterances" in text
    assert "left out by" not in text
    assert "shortest 0.10 s, median 0.20 s, longest 0.30 s" in text
    assert "missing_wav" in text
    assert "gone.wav" in text


def test_labels_outside_the_protocol_are_counted_by_name(calls, capsys):
    path = Path(calls[1].removeprefix("data.manifest="))
    table = path.read_text(encoding="utf-8").replace("Fhap.wav,hap", "Fhap.wav,fea")
    path.write_text(table, encoding="utf-8")
    words = [*calls, "protocol=speaker_out", "protocol.absent_classes=allow"]
    assert run([*words, "format=json"]) == 0
    balance = json.loads(capsys.readouterr().out)["balance"]
    assert (balance["utterances"], balance["labels"]) == (11, {"fea": 1})
    assert run(words) == 0
    text = capsys.readouterr().out
    assert ["left", "out", "by", "label:", "fea", "1"] in [
        line.split() for line in text.splitlines()
    ]
    assert "Folds that test without a class, UA over the others: 6 (hap)" in text


def test_own_classes_and_labels(calls, capsys):
    for words in (
        ["protocol.classes=[hap,ang]"],
        ["protocol.classes=[high,low]", "protocol.labels={ang: high, hap: low}"],
        ["protocol.classes=[high,low]", "+protocol.labels={ang: high, hap: low}"],
    ):
        assert run([*calls[:3], *words, "format=json"]) == 0
        assert list(json.loads(capsys.readouterr().out)["labels"].values()) == [6, 6]


def test_a_map_of_labels_takes_the_place_of_the_old_one(calls, capsys):
    words = ["protocol=groups5", "protocol.labels={ang: ang, hap: hap}", "format=json"]
    assert run([*calls, *words]) == 0
    assert json.loads(capsys.readouterr().out)["balance"]["labels"] == {}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["protocol=groups5"], "5 groups of talkers need at least 5 talkers, but there are 2"),
        (["protocol=speaker_out"], "needs at least three parts"),
        (["protocol=loso4"], "has no group"),
    ],
)
def test_every_refusal_names_what_accepts_the_corpus(calls, words, says):
    """Two talkers: what one message advised, the next one refused."""
    cut(calls, "C", "D", "E", "F", "gone")
    with pytest.raises(InputError, match=says) as caught:
        run([*calls, *words])
    way_out = "protocol=speaker_out protocol/validation_rule=none"
    assert way_out in str(caught.value)
    assert run([*calls, *way_out.split()]) == 0


def test_a_refusal_says_who_and_what_is_there_and_what_was_left_out(calls):
    cut(calls, "Ahap", "Bang", "Bhap", "Chap", "Dhap", "Ehap")
    with pytest.raises(InputError) as caught:
        run([*calls, "protocol=speaker_out"])
    lines = str(caught.value).splitlines()
    assert lines[0] == "fold 1: no test utterance of class hap; it holds 1, of A: ang 1"
    assert lines[1].split() == ["talker", "ang", "hap"]
    assert ["F", "1", "1"] in [line.split() for line in lines]
    assert any("rows take part" in line for line in lines)
    assert any(line.startswith("problem missing_wav, 1 times; the first: ") for line in lines)
    assert lines[-1].endswith("training has not heard: hap (talker F)")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["format=xml"], "format=xml: expected table or json"),
        (["data.nonsense=1"], "nonsense"),
        (["protocol.classes=ang"], "protocol.classes=ang: expected a list"),
        (["protocol.classes=[ang]"], "expected two classes or more, each once"),
        (["protocol.classes=[ang,ang]"], "expected two classes or more, each once"),
        (["protocol.labels=ang"], "protocol.labels=ang: expected a mapping"),
        (["protocol.absent_classes=yes"], "absent_classes=yes: expected refuse or allow"),
        (["protocol.validation_rule=random_share"], "type protocol/validation_rule=random_share"),
        (["protocol/validation_rule=nope"], "next_fold; next_group; none; random_fifth"),
        (["protocol.fold_rule.n=1"], "n=1: expected a number of groups"),
        (
            ["protocol/validation_rule=random_share", "protocol.validation_rule.share=1.5"],
            "between",
        ),
    ],
)
def test_wrong_use(calls, extra, message):
    with pytest.raises(InputError, match=message):
        run([*calls, *extra])


def test_all_counts_are_shown():
    problems = [{"where": f"u{i}", "what": "silent", "kind": "silent"} for i in range(7)]
    fold = {
        "fold": 1,
        "train": 40,
        "val": 20,
        "test": 16,
        "digest": "0123456789abcdef",
        "leaks": {"speakers": 3, "dialogues": 5, "transcripts": 4},
    }
    summary = {
        "utterances": 76,
        "labels": {"ang": 19, "hap": 57},
        "groups": {"1": 76},
        "acts": {"scripted": 76},
        "speakers": {"Ses01F": 76},
        "speakers_by_class": {"Ses01F": {"ang": 19, "hap": 57}},
        "balance": {"rows": 90, "utterances": 76},
        "folds": [fold],
        "problems": problems,
    }
    length = {"total": 7200.0, "shortest": 0.5, "median": 3.0, "longest": 20.0}
    text = render("title", summary, {1: {"ang": 7, "hap": 9}}, length, {"problem: silent": 14})
    rows = [line.split() for line in text.splitlines()]
    assert ["ang", "19", "25.0", "%"] in rows
    assert ["Ses01F", "19", "57", "76"] in rows
    assert ["rows", "90"] in rows
    assert ["problem:", "silent", "14"] in rows
    assert ["1", "40", "20", "16", "3", "5", "4", "(25", "%)", "0123456789ab"] in rows
    assert ["1", "7", "9"] in rows
    assert ["silent", "7"] in rows
    assert "2.00 h; shortest 0.50 s, median 3.00 s, longest 20.00 s" in text
    assert "u4: silent" in text
    assert "u5" not in text
    assert "and 2 more (format=json lists all)" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_nothing_wrong():
    summary = {"utterances": 0, "labels": {}, "groups": {}, "acts": {}, "speakers": {}}
    summary |= {"speakers_by_class": {}, "balance": {"rows": 0, "utterances": 0}}
    text = render("title", {**summary, "folds": [], "problems": []}, {1: {"ang": 0}}, {}, {})
    assert "No problems." in text
    assert " h; " not in text
