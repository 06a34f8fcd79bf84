import json

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
        "~protocol.labels.neu",
        "~protocol.labels.sad",
    ]


def test_json(calls, capsys):
    assert run([*calls, "format=json", "ids=true"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["utterances"] == 12
    assert summary["labels"] == {"ang": 6, "hap": 6}
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
    assert "shortest 0.10 s, median 0.20 s, longest 0.30 s" in text
    assert "missing_wav" in text
    assert "gone.wav" in text


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["format=xml"], "format=xml: expected table or json"),
        (["protocol=loso4"], "has no group"),
        (["data.nonsense=1"], "nonsense"),
    ],
)
def test_wrong_use(calls, extra, message):
    overrides = calls[:2] if "protocol" in extra[0] else calls
    with pytest.raises(InputError, match=message):
        run([*overrides, *extra])


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
        "folds": [fold],
        "problems": problems,
    }
    length = {"total": 7200.0, "shortest": 0.5, "median": 3.0, "longest": 20.0}
    text = render("title", summary, {1: {"ang": 7, "hap": 9}}, length)
    rows = [line.split() for line in text.splitlines()]
    assert ["ang", "19", "25.0", "%"] in rows
    assert ["Ses01F", "76", "100.0", "%"] in rows
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
    text = render("title", {**summary, "folds": [], "problems": []}, {1: {"ang": 0}}, {})
    assert "No problems." in text
    assert " h; " not in text
