"""Every verb that reads a run folder, on every file of one, damaged in every way.

Each says in one line which file it is and what to do, or does not need the file; and a damaged run
costs nothing but itself.
"""

import shutil

import pytest

from sermm.cli.main import main
from sermm.report.tables.tables import build
from sermm.runs.layout import CONFIG, METRICS, PREDICTIONS, RESULT, STATUS

DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "null": lambda path: path.write_text("null\n"),
    "list": lambda path: path.write_text("[1, 2]\n"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "types": lambda path: path.write_text('{"state": 3, "key": [], "model": 7, "study": [1]}\n'),
    "infinite": lambda path: path.write_text('{"state": "running", "pid": 1e999, "format": NaN}\n'),
    "huge": lambda path: path.write_text(
        f'{{"state": "running", "pid": {10**40}, "heartbeat": "0001-01-01T00:00:00+14:00"}}\n'
    ),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "gone": lambda path: path.unlink(),
}
FILES = (STATUS, RESULT, CONFIG, METRICS, PREDICTIONS)
# Those that start from a run's weights, or go on with it, do not need the other files.
ENGINE = (STATUS, RESULT, CONFIG)
SMALL = [
    "encoder/speech=mfcc", "encoder/text=tiny", "encoder.speech.hidden=8",
    "encoder.speech.channels=8", "trainer.accelerator=cpu", "trainer.max_epochs=1",
    "data=manifest", "data.name=tones", "protocol=groups5", "hydra/launcher=basic",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tones, tmp_path_factory):
    """A sweep of two systems on a fold; the words of the first, and its key."""
    runs = tmp_path_factory.mktemp("runs")
    words = [*SMALL, f"data.manifest={tones}", f"cache_dir={tones.parent / 'cache'}"]
    words += [f"runs_dir={runs}", "study=s"]
    assert main(["train", "-m", *words, "model=speech_only,text_only", "fold=1"]) == 0
    keys = {p.parent.name: "name: speech_only" in p.read_text() for p in runs.glob(f"s/*/{CONFIG}")}
    (speech,) = (key for key, is_speech in keys.items() if is_speech)
    (text,) = (key for key, is_speech in keys.items() if not is_speech)
    return (
        runs,
        speech,
        text,
        [*words, "model=speech_only", "fold=1"],
        next(tones.parent.glob("*.wav")),
    )


@pytest.fixture
def damaged(trained, tmp_path, request):
    """A copy of it in which one file of the speech run is damaged."""
    file, damage = request.param
    runs, speech, text, words, clip = trained
    shutil.copytree(runs / "s", tmp_path / "s")
    DAMAGES[damage](tmp_path / "s" / speech / file)
    words = [word for word in words if not word.startswith(("runs_dir=", "hydra"))]
    return tmp_path, speech, text, [*words, f"runs_dir={tmp_path}"], str(clip)


def matrix(files):
    return pytest.mark.parametrize(
        "damaged",
        [(file, damage) for file in files for damage in DAMAGES],
        indirect=True,
        ids=lambda pair: "-".join(pair),
    )


def said(words, capsys):
    """What a verb prints; what it refuses is one line."""
    status = main(words)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    if status == 2:
        assert len(err.strip().splitlines()) == 1, err
    return status, out, err


@matrix(FILES)
def test_looking_on_and_reporting_loses_no_other_run(damaged, capsys):
    runs, speech, text, _, _ = damaged
    here = f"runs_dir={runs}"
    status, out, _ = said(["status", "s", here], capsys)
    assert status in (0, 1)
    assert out.startswith("study s, 2 runs: ")
    # What `sermm report` prints, without the time that pictures take.
    assert "text_only" in [row.label for row in build(runs / "s").tables[0].rows]
    assert said(["dashboard", "s", here], capsys)[0] == 0
    assert said(["retry", "s", here], capsys)[0] == 2
    assert said(["predict", "s:text_only fold=2", "x.wav", here], capsys)[0] == 2
    status, _, err = said(["combine", f"s/{speech}", f"s/{text}", "study=new", here], capsys)
    assert status == 0 or str(runs / "s" / speech) in err
    status, out, err = said(["forget", f"s/{speech}", "yes=true", here], capsys)
    assert (status, err) == (0, "")
    assert not (runs / "s" / speech).exists()
    assert said(["status", "s", here], capsys)[1].startswith("study s, 1 run: 1 finished")


@matrix(ENGINE)
def test_going_on_from_it_names_the_file_and_the_way_out(damaged, capsys, request):
    runs, speech, _, words, clip = damaged
    file, damage = request.node.callspec.params["damaged"]
    here, run = f"runs_dir={runs}", f"s/{speech}"
    for verb in (["predict", run, clip], ["evaluate", run], ["explain", run, clip]):
        status, _, err = said([*verb, here], capsys)
        assert status == 2, verb
        assert str(runs / "s" / speech) in err
        if damage != "gone":
            assert f"{runs / run / file} is damaged: " in err
            assert f"`sermm forget {run} {here} yes=true` removes the run" in err
    # Another run of the study is found all the same.
    assert said(["predict", "s:text_only", clip, "text=glad", here], capsys)[0] == 0
    status, _, err = said(["train", *words], capsys)
    if (file, damage) == (STATUS, "gone") or file == CONFIG:
        assert status == 0
    else:
        assert (status, f"{runs / run / file} is damaged: " in err) == (2, True)
