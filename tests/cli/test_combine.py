import json

import pytest

from sermm.cli.combine import run
from sermm.cli.report import run as report
from sermm.core.errors import InputError
from sermm.runs.status import Status

LABELS = ("ang", "sad")
HEADER = "utterance_id,split,label,predicted,p_ang,p_sad,fold,group,dialogue,talker,act"
HEADER += ",transcript_digest"


def write_run(a_result, runs_dir, study, model, fold, shares):
    """A run on two utterances, u1 ang and u2 sad; `shares` are their p_ang."""
    folder = runs_dir / study / f"{model}{fold}"
    folder.mkdir(parents=True)
    rows = [
        f"u{n},test,{label},{'ang' if p >= 0.5 else 'sad'},{p},{1 - p},1,{fold},d{n},t{n},scripted,"
        for n, (label, p) in enumerate(zip(LABELS, shares, strict=True), 1)
    ]
    (folder / "predictions.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    (folder / "config.yaml").write_text(f"fold: {fold}\n")
    Status("finished").write(folder)
    a_result(
        key=folder.name, system=model, model=model, variant=model, data="demo", fold=fold,
        n_folds=2, split_digest=f"s{fold}", counts={"train": 2, "val": 2, "test": 2},
    ).write(folder)  # fmt: skip


@pytest.fixture
def runs_dir(tmp_path, a_result):
    """Each model is wrong once and unsure of it, the other sure and right."""
    for fold in (1, 2):
        write_run(a_result, tmp_path, "first", "speech", fold, (0.9, 0.6))
        write_run(a_result, tmp_path, "second", "text", fold, (0.4, 0.1))
    return tmp_path


def test_combines_studies_and_the_report_reads_them(runs_dir, capsys):
    words = ["first", "second:text", "study=new", f"runs_dir={runs_dir}"]
    assert run(words) == 0
    lines = capsys.readouterr().out.splitlines()
    said = "test UA speech 50.0, text 50.0 -> combination 100.0"
    assert [line.split("  ")[0] for line in lines] == [
        f"demo, loso4, fold 1, seed 1: {said}",
        f"demo, loso4, fold 2, seed 1: {said}",
    ]
    assert run(words) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert report(["new", f"runs_dir={runs_dir}", "format=json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["model"], row["n_runs"], row["ua_mean"]) == ("combination", 2, 1.0)


def test_namesakes_are_told_apart_by_their_parts_and_weights(runs_dir, capsys):
    for weights in ("1,1", "9,1"):
        run(["first", "second", "study=new", f"weights={weights}", f"runs_dir={runs_dir}"])
    report(["new", f"runs_dir={runs_dir}", "format=json"])
    rows = json.loads(capsys.readouterr().out.split("\n", 4)[4])["rows"]
    assert {row["model"]: row["ua_mean"] for row in rows} == {
        "combination weights=1,1": 1.0,
        "combination weights=9,1": 0.5,
    }


def test_two_runs_as_json(runs_dir, capsys):
    words = ["speech2", "second/text2", "study=new", "name=pair", "format=json"]
    assert run([*words, f"runs_dir={runs_dir}"]) == 0
    record = json.loads(capsys.readouterr().out)
    (made,) = record["combinations"]
    assert (made["model"], made["fold"], made["ua"]) == ("pair", 2, 1.0)
    assert [part["key"] for part in made["parts"]] == ["speech2", "text2"]
    assert record["no_partner"] == []


def test_what_has_no_partner_is_counted_and_listed(runs_dir, capsys, a_result):
    write_run(a_result, runs_dir, "first", "speech", 3, (0.9, 0.6))
    (runs_dir / "second" / "broken").mkdir()
    assert run(["first", "second", "study=new", f"runs_dir={runs_dir}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "1 run folders did not finish or cannot be read; sermm report" in lines[2]
    assert lines[3] == "without a partner: 1"
    assert "speech3: speech on demo, loso4, fold 3, seed 1: no finished run of second" in lines[4]


def test_the_command_that_it_prints_quotes_a_name_with_spaces(runs_dir, capsys):
    study = (runs_dir / "second").rename(runs_dir / "my second")
    (study / "broken").mkdir()
    assert run(["first", "my second", "study=new", f"runs_dir={runs_dir}"]) == 0
    assert f"; sermm report '{study}' says why" in capsys.readouterr().out


def test_nothing_in_common_is_refused(runs_dir, a_result):
    write_run(a_result, runs_dir, "third", "text", 3, (0.4, 0.1))
    with pytest.raises(InputError, match=r"first and third share no corpus.*\n.*speech1"):
        run(["first", "third", "study=new", f"runs_dir={runs_dir}"])
    with pytest.raises(InputError, match="they differ in fold, 1 and 2"):
        run(["first/speech1", "second/text2", "study=new", f"runs_dir={runs_dir}"])
    assert not (runs_dir / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["first", "study=new"], "two or more parts"),
        (["first", "second"], "study= must say"),
        (["first", "second", "study=new", "weights=a,b"], "numbers divided by commas"),
        (["first", "second", "study=new", "weights=1"], "2 numbers above 0"),
        (["first", "second", "study=../new"], "a study is one folder, and its name has no /"),
        (["first", "second", "study=new", "scale=hot"], "scale must be raw or calibrated"),
        (["first", "second", "study=new", "scale=calibrated"], "no validation part"),
        (["first", "second", "study=new", "name=lookup"], "cannot name"),
        (["first", "second", "study=new", "format=xml"], "table or json"),
        (
            ["first", "second", "study=new", "weigths=1,1"],
            "unknown key weigths: close to it: weights",
        ),
    ],
)
def test_wrong_use(runs_dir, arguments, says):
    with pytest.raises(InputError, match=says):
        run([*arguments, f"runs_dir={runs_dir}"])
