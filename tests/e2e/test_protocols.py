"""A protocol as a user changes it: own classes, other rules, folds that lack a class."""

import csv
import json

import pytest

from sermm.cli.main import main


@pytest.fixture
def words(train_words, tones):
    """`sermm train` of the floor; talker t0 says nothing sad."""
    table = tones.with_name("lacking.csv")
    with tones.open() as file, table.open("w", newline="") as out:
        rows = [row for row in csv.reader(file) if not row[0].startswith("0sad")]
        csv.writer(out).writerows(rows)
    kept = [w for w in train_words if not w.startswith("data.manifest=")]
    return [*kept, f"data.manifest={table}", "model=majority"]


def test_what_is_left_out_is_said_before_training_and_kept(words, tmp_path, capsys):
    assert main([*words, "protocol.classes=[ang,hap]"]) == 0
    line = "tones, groups5: 30 of 57 rows take part; left out by label: neu 15, sad 12"
    assert capsys.readouterr().out.startswith(line)
    (path,) = (tmp_path / "runs").glob("*/*/result.json")
    balance = json.loads(path.read_text())["balance"]
    assert (balance["rows"], balance["labels"]) == (57, {"neu": 15, "sad": 12})


def test_a_fold_without_a_class_is_refused_or_allowed_and_said(words, capsys):
    assert main(words) == 2
    refused = capsys.readouterr().err
    assert "fold 1: no test utterance of class sad; it holds 9, of t0: ang 3" in refused
    assert "protocol=groups5 protocol.absent_classes=allow" in refused
    assert main([*words, "protocol.absent_classes=allow"]) == 0
    assert "test UA 0.333 (no sad there)" in capsys.readouterr().out


def test_rules_by_name_and_a_new_map_of_labels_in_a_sweep(words, tmp_path):
    own = ["protocol.labels={ang: high, hap: high, neu: low, sad: low}"]
    own += ["protocol.classes=[high,low]", "protocol/validation_rule=none", "fold=1,2"]
    assert main([*words, "-m", *own, "hydra/launcher=basic"]) == 0
    results = [json.loads(p.read_text()) for p in (tmp_path / "runs").glob("*/*/result.json")]
    assert {tuple(r["classes"]) for r in results} == {("high", "low")}
    assert [r["counts"]["val"] for r in results] == [0, 0]
    assert {r["selection"] for r in results} == {"last"}
