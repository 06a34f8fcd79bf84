"""`sermm predict` on files as strangers have them."""

import json

import numpy as np
import pytest
import soundfile

from sermm.cli.main import main


@pytest.fixture(scope="module")
def run(tones, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    words = ["data=manifest", f"data.manifest={tones}", "data.name=tones", "protocol=groups5"]
    cache = [f"cache_dir={tones.parent / 'cache'}", f"runs_dir={runs}", "hydra/launcher=basic"]
    sizes = ["encoder/speech=mfcc", "encoder.speech.hidden=8", "encoder.speech.channels=8"]
    short = ["model=speech_only", "trainer.accelerator=cpu", "trainer.max_epochs=1"]
    assert main(["train", *words, *cache, *sizes, *short]) == 0
    return next((runs / "default").glob("*"))


@pytest.fixture
def files(tmp_path):
    """Good and bad ones, by name."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(20 * 16000)
    soundfile.write(tmp_path / "good.wav", noise[:16000], 16000)
    soundfile.write(tmp_path / "long.wav", noise, 16000)
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "integers.wav", 9999 * noise[:16000], 16000, subtype="FLOAT")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    names = ["good", "long", "zeros", "integers", "empty", "none"]
    return {n: str(tmp_path / f"{n}.wav") for n in names} | {"folder": str(tmp_path / "folder")}


BAD = {
    "integers": "integers written as floats",
    "empty": "an empty file",
    "none": "no such audio file",
    "folder": "it is a folder",
    "name": "no file has such a long name",
}


def test_bad_files_are_listed_and_the_others_are_answered(run, files, capsys):
    words = [*files.values(), "name" * 80, files["good"]]
    assert main(["predict", str(run), *words]) == 1
    captured = capsys.readouterr()
    rows = captured.out.splitlines()
    assert [row.split()[0] for row in rows] == [files[n] for n in ("good", "long", "zeros", "good")]
    assert rows[0] == rows[3]
    assert rows[1].endswith("(of its first 15.00 s; it lasts 20.00 s)")
    assert "5 of 9 files have no label:" in captured.err
    for why in BAD.values():
        assert captured.err.count(why) == 1
    assert "only its first 15.00 s are heard" in captured.err
    assert "zeros.wav: digital silence" in captured.err

    assert main(["predict", str(run), *words, "format=json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in told] == words
    assert [one["label"] is None for one in told] == [one["error"] is not None for one in told]
    long = told[1]
    assert (long["seconds"], long["used_seconds"]) == (20.0, 15.0)
    assert "only its first 15.00 s are heard" in long["remarks"][0]
    assert (told[0]["seconds"], told[0]["remarks"]) == (1.0, [])


def test_all_good(run, files, capsys):
    assert main(["predict", str(run), files["good"]]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert captured.err == ""


def test_a_second_run_is_no_file(run, files, capsys):
    for second in (str(run), run.name):
        words = [str(run), second, files["good"], f"runs_dir={run.parent.parent}"]
        assert main(["predict", *words]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert f"one run is asked at a time, and {second} is a second one" in captured.err


def test_one_text_for_one_file(run, files, capsys):
    assert main(["predict", str(run), files["good"], files["long"], "text=no"]) == 2
    assert "text= belongs to one file, got 2 files" in capsys.readouterr().err
