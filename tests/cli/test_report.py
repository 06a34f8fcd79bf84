import json

import pytest

from sermm.cli.report import run
from sermm.core.errors import InputError
from sermm.runs.status import Status


@pytest.fixture
def runs_dir(tmp_path, a_result):
    rows = [("u1", "ang", "ang", "d1"), ("u2", "sad", "ang", "d2"), ("u3", "sad", "sad", "d2")]
    folder = tmp_path / "runs" / "tiny" / "key1"
    folder.mkdir(parents=True)
    text = ["utterance_id,split,label,predicted,p_ang,p_sad,fold,group,dialogue,talker,act"]
    text += [f"{i},test,{label},{said},0.5,0.5,1,1,{d},t,improvised" for i, label, said, d in rows]
    (folder / "predictions.csv").write_text("\n".join(text) + "\n")
    Status("finished").write(folder)
    a_result(
        key="key1", system="s", model="speech_only", variant="linear frame", data="demo",
        n_folds=1, counts={"train": 3, "val": 3, "test": 3},
    ).write(folder)  # fmt: skip
    return tmp_path / "runs"


def test_prints_the_table_and_writes_the_page(runs_dir, capsys):
    assert run(["tiny", f"runs_dir={runs_dir}"]) == 0
    printed = capsys.readouterr().out
    assert "speech_only" in printed
    assert "75.0" in printed
    assert printed.endswith(f"page: {runs_dir / 'tiny' / 'report' / 'index.html'}\n")
    names = {path.name for path in (runs_dir / "tiny" / "report").iterdir()}
    assert {"index.html", "tables.md", "results.csv"} < names


def test_json_is_json_and_nothing_else(runs_dir, capsys, monkeypatch):
    monkeypatch.setenv("SERMM_RUNS", str(runs_dir))
    assert run(["tiny", "format=json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["ua_mean"] == pytest.approx(0.75)
    assert row["wa_mean"] == pytest.approx(2 / 3)


def test_a_repository_keeps_the_results_and_the_pictures_that_are_named(runs_dir, tmp_path):
    kept, there = tmp_path / "kept", runs_dir / "tiny" / "report"
    words = ["tiny", f"runs_dir={runs_dir}", f"keep={kept}"]
    assert run([*words, "pictures=[confusion-speech_only]"]) == 0
    assert {path.name for path in kept.iterdir()} == {"results.csv", "confusion-speech_only.png"}
    (drawn,) = there.glob("*.png")
    assert (kept / "confusion-speech_only.png").read_bytes() == drawn.read_bytes()
    assert (kept / "results.csv").read_bytes() == (there / "results.csv").read_bytes()
    assert run(words) == 0
    assert {path.name for path in kept.iterdir()} == {"results.csv"}
    assert {"index.html", "tables.md"} < {path.name for path in there.iterdir()}


def test_what_is_missing_is_said_and_the_rest_reported(runs_dir, tmp_path, capsys):
    (runs_dir / "tiny" / "key2").mkdir()
    page = tmp_path / "page.md"
    page.write_text("<!-- sermm report tiny -->\n<!-- end -->\n")
    words = ["tiny", f"runs_dir={runs_dir}", f"insert={page}", f"keep={tmp_path / 'kept'}"]
    assert run(words) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("INCOMPLETE STUDY tiny:\n\nkey2: no status.json, result.json")
    assert "75.0" in printed.out
    assert f"`sermm forget tiny runs_dir={runs_dir} state=unreadable`" in printed.err
    # Into the pages of others it goes only if that is what is wanted.
    assert "insert=, keep= left undone" in printed.err
    assert "speech_only" not in page.read_text()
    assert not (tmp_path / "kept").exists()
    assert run([*words, "allow_missing=true"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("INCOMPLETE STUDY tiny:")
    assert printed.err == ""
    assert "speech_only" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tiny", "alow_missing=true"], "unknown key alow_missing: close to it: allow_missing"),
        (["tiny", "format=xml"], "table or json"),
        (["tiny", "allow_missing=yes"], "true or false"),
        ([], "expected one study"),
        (["tiny", "demo"], "expected one study"),
        (["tiny", "pictures=[curves-speech_only]"], "keep=FOLDER"),
        (["tiny", "format=json", "format=table"], "format is given twice, 'json' and 'table'"),
        (["tiny", "insert=no.md"], r"insert=no.md: No such file .* sermm report tiny -->"),
        (["tiny", f"to={__file__}"], "is a file, expected a folder"),
        (["tiny", f"keep={__file__}"], "is a file, expected a folder"),
        (["x" * 300], "no study 'xxx"),
        (["a\0b"], "no study"),
        ([""], "no study ''"),
        (["tiny", "keep=kept", "pictures=[x]"], "no x; it has confusion-speech_only"),
        (["other"], r"no study 'other' .*\(tiny\)"),
    ],
)
def test_wrong_use(runs_dir, arguments, says):
    with pytest.raises(InputError, match=says):
        run([*arguments, f"runs_dir={runs_dir}"])
