"""`sermm explain` on runs of one epoch: every kind of system, with times, units and own files."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
import soundfile

from sermm.cli.main import main
from sermm.core.files import read_json
from sermm.runs.folder import RunFolder

ENCODERS = {"mfcc": ["encoder.speech.trim_db=null", "encoder.speech.augment=false"]}
SPEECH_AND_TEXT = {("speech", "text"), ("text", "speech")}
SYSTEMS = {
    "coattention": (
        ["model.streams=[text,frame,word]", "model.system.depth=1", "model.system.heads=2"],
        {(a, b) for s in ("frame", "word") for a, b in (("text", s), (s, "text"))},
        set(),
    ),
    "cmgi": (
        ["model.system.heads=2"],
        SPEECH_AND_TEXT | {("speech", "speech"), ("text", "text")},
        {"speech", "text"},
    ),
    "single_gate": ([], SPEECH_AND_TEXT, {"speech", "text"}),
    "caf": (
        ["model.system.width=8", "model.system.streams.spectral.hidden=4"],
        {("spectral", "speech"), ("speech", "spectral")},
        set(),
    ),
}


@pytest.fixture
def trained(train_words, tmp_path, capsys):
    """Trains a model for one epoch; the run's folder."""

    def train(model, *more):
        words = [*train_words, *ENCODERS["mfcc"], "trainer.max_epochs=1", "study=explained"]
        assert main([*words, f"model={model}", *more]) == 0
        capsys.readouterr()
        (result,) = (tmp_path / "runs" / "explained").glob("*/result.json")
        return result.parent

    return train


@pytest.mark.parametrize("model", SYSTEMS)
def test_every_kind_of_system_is_explained(model, trained, capsys):
    more, maps, gates = SYSTEMS[model]
    run = trained(model, *more)
    predicted = (run / "predictions.csv").read_text().splitlines()
    header = predicted[0].split(",")
    row = next(line for line in predicted if ",test," in line).split(",")
    assert main(["explain", str(run), f"utterance={row[0]}", "format=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {(m["query"]["stream"], m["key"]["stream"]) for m in told["maps"]} == maps
    assert {g["stream"]["stream"] for g in told["gates"]} == gates
    assert (told["part"], told["label"]) == ("test", row[2])
    # What is explained is what was predicted.
    for name, share in told["probabilities"].items():
        assert share == pytest.approx(float(row[header.index(f"p_{name}")]), abs=1e-5)

    folder = run / "explanations" / row[0]
    files = {path.name for path in folder.iterdir()}
    assert {"attention.png", "index.html", "explanation.json", "attention.npz"} <= files
    assert {name for name in files if name.startswith("gate")} == {f"gate-{g}.png" for g in gates}
    assert told.pop("folder") == str(folder)
    assert told == read_json(folder / "explanation.json")
    with np.load(folder / "attention.npz") as weights:
        assert len(weights) == len(maps)
        for found in told["maps"]:
            name = found["weights"].split(": ")[1]
            shape = (found["query"]["positions"], found["key"]["positions"])
            assert weights[name].shape == shape
            np.testing.assert_allclose(weights[name].sum(1), 1, atol=1e-5)
    # The page needs no other file: pictures and the audio are in it.
    page = (folder / "index.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("data:image/png;base64,") == len(maps) + len(gates)
    audio = re.search(r'data:audio/wav;base64,([^"]+)"', page)[1]
    assert base64.b64decode(audio)[:4] == b"RIFF"
    assert ("defined by sermm, not by the paper" in page) == any("text" in pair for pair in maps)


def test_figures_and_tokens_of_speech_that_looks_at_text(trained, capsys, tmp_path):
    run = trained("single_gate")
    (tmp_path / "list.txt").write_text("furious\n")
    words = ["explain", str(run), "text=I am furious!", f"lexicon={tmp_path / 'list.txt'}"]
    samples = np.random.default_rng(0).standard_normal(22050).astype("float32") / 10
    soundfile.write(tmp_path / "call.wav", samples, 44100)
    assert main([*words, str(tmp_path / "call.wav"), f"to={tmp_path / 'out'}"]) == 0
    said = capsys.readouterr().out
    assert "call.wav (a file)" in said
    assert "written to" in said
    told = read_json(tmp_path / "out" / "explanation.json")
    found = told["maps"][0]
    assert (found["query"]["stream"], found["key"]["stream"]) == ("speech", "text")
    tokens = found["key"]["tokens"]
    assert "".join(tokens[1:-1]) == "Iamfurious!"
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    assert told["negative_words"] == ["furious"]
    values = {figure["name"]: figure["value"] for figure in found["figures"]}
    assert 0 <= values["speech > 4 kHz"] <= 1
    assert 0 < values["negative words"] <= 1
    # White noise has half of its energy in the upper half.
    assert np.mean(found["share_above_4_khz"]) == pytest.approx(0.5, abs=0.1)
    weights = np.load(tmp_path / "out" / "attention.npz")["speech-to-text"]
    expected = weights.mean(0) / weights.mean(0).max()
    np.testing.assert_allclose(found["relevance"], expected, atol=1e-5)


def test_a_blink_silence_and_no_words(trained, capsys, tmp_path):
    run = trained("cmgi", "model.system.heads=2")
    for seconds, level, text in ((0.1, 0.1, ""), (0.5, 0.0, ""), (0.5, 0.0, "Furious!")):
        samples = level * np.random.default_rng(0).standard_normal(round(16000 * seconds))
        soundfile.write(tmp_path / "call.wav", samples.astype("float32"), 16000)
        words = ["explain", str(run), str(tmp_path / "call.wav"), f"text={text}", "format=json"]
        assert main(words) == 0
        told = json.loads(capsys.readouterr().out)
        reasons = {f["name"]: f["said"] for f in told["maps"][0]["figures"] if f["value"] is None}
        if not text:
            assert reasons["negative words"] == "the transcript is empty"
        if not level:
            assert reasons["speech > 4 kHz"] == "the audio is silent"


def test_what_is_cut_is_said_wherever_it_is_told(trained, capsys, tmp_path):
    run = trained("cmgi", "model.system.heads=2")
    samples = 0.1 * np.random.default_rng(0).standard_normal(20 * 16000)
    soundfile.write(tmp_path / "call.wav", samples, 16000)
    said = "call.wav: 20.00 s long, only its first 15.00 s are heard"
    words = ["explain", str(run), str(tmp_path / "call.wav"), "text=Furious!"]
    assert main([*words, f"to={tmp_path / 'out'}"]) == 0
    assert said in capsys.readouterr().out
    assert said in (tmp_path / "out" / "index.html").read_text()
    told = read_json(tmp_path / "out" / "explanation.json")
    assert (told["seconds"], told["used_seconds"]) == (20.0, 15.0)
    assert said in told["remarks"][0]


def test_bad_input_is_named(trained, train_words, tones, tmp_path, capsys):
    run = trained("concatenation")
    ids = sorted((run / "predictions.csv").read_text().split("\n")[1:-1])
    known = ids[0].split(",")[0]

    def error(*words):
        assert main(["explain", *words]) == 2
        return capsys.readouterr().err

    told = error(str(run), f"utterance={known}x")
    assert f"utterance={known}x is not in tones" in told
    assert known in told
    assert "concatenation has neither attention nor a gate" in error(str(run), f"utterance={known}")
    assert "no such audio file" in error(str(run), str(tmp_path / "none.wav"))

    # In the corpus, but of a class that the run's protocol leaves out.
    rows = tones.read_text().replace(",neu,t0,", ",xxx,t0,", 1)
    assert rows != tones.read_text()
    changed = tmp_path / "changed"
    shutil.copytree(tones.parent, changed, ignore=shutil.ignore_patterns("cache"))
    (changed / "tones.csv").write_text(rows)
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace(str(tones), str(changed / "tones.csv")))
    left_out = next(i for i in (r.split(",")[0] for r in rows.splitlines()) if i.startswith("0neu"))
    told = error(str(run), f"utterance={left_out.removesuffix('.wav')}")
    assert "is in tones, but in no part of groups5 fold 1" in told

    RunFolder(run).write_status("running")
    assert "is running, not finished" in error(str(run), f"utterance={known}")
