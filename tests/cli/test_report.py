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


def test_missing_runs_need_permission(runs_dir, capsys):
    (runs_dir / "tiny" / "key2").mkdir()
    with pytest.raises(InputError, match=r"key2: no status.json"):
        run(["tiny", f"runs_dir={runs_dir}"])
    assert run(["tiny", f"runs_dir={runs_dir}", "allow_missing=true"]) == 0
    assert (
        "key2: no status.json, result.json, predictions.csv: half-written"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tiny", "alow_missing=true"], "known are allow_missing, format, to, insert, wandb"),
        (["tiny", "format=xml"], "table or json"),
        (["tiny", "allow_missing=yes"], "true or false"),
        ([], "expected one study"),
        (["tiny", "demo"], "expected one study"),
        (["tiny", "pictures=[curves-speech_only]"], "keep=FOLDER"),
        (["tiny", "keep=kept", "pictures=[x]"], "no x; it has confusion-speech_only"),
        (["other"], r"no study 'other' .*\(tiny\)"),
    ],
)
def test_wrong_use(runs_dir, arguments, says):
    with pytest.raises(InputError, match=says):
        run([*arguments, f"runs_dir={runs_dir}"])
