"""`sermm align` as a user runs it."""

import json
import shutil

import pytest

from sermm.cli.main import main
from sermm.units.textgrid import read_textgrid


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    pytest.importorskip("espeakng_loader")
    cache = tmp_path_factory.mktemp("demo")
    return ["data=demo", "data.utterances=40", f"cache_dir={cache}"]


def json_of(capsys, words):
    assert main(["align", *words, "format=json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.demo
def test_the_demo_corpus_has_true_times(demo, capsys):
    found = json_of(capsys, demo)
    assert found["utterances"] == 40
    for level, rate in (("word", 3.5), ("syllable", 4.5), ("phone", 11.0)):
        counted = found["levels"][level]
        assert counted["utterances"] == {"corpus": 35, "whole": 5}, "five of them only laugh"
        assert sum(counted["utterances"].values()) == found["utterances"]
        assert counted["per_second"] == pytest.approx(rate, rel=0.2)
    assert found["problems"] == []
    assert main(["align", *demo]) == 0
    assert "No problems." in capsys.readouterr().out


@pytest.mark.demo
@pytest.mark.slow
def test_pocketsphinx_finds_the_true_times_of_the_demo_corpus(demo, capsys):
    pytest.importorskip("pocketsphinx")
    found = json_of(capsys, [*demo, "align.sources=[pocketsphinx]", "against=corpus"])
    assert found["levels"]["word"]["utterances"]["pocketsphinx"] >= 25
    words = found["against"]["levels"]["word"]
    assert words["matched"] == words["units"]
    for side in ("starts", "ends"):
        assert words[side]["median_s"] <= 0.03
        assert words[side]["within_50_ms"] > 0.85
    assert {p["kind"] for p in found["problems"]} <= {"cannot_be_aligned", "unknown_words"}


@pytest.mark.demo
def test_textgrids_are_written_and_come_back_as_a_source(demo, tmp_path, capsys):
    grids = tmp_path / "grids"
    first = json_of(capsys, [*demo, f"out={grids}"])
    assert len(list(grids.iterdir())) == first["utterances"]
    one = next(iter(sorted(grids.glob("Ses01*.TextGrid"))))
    assert read_textgrid(one)["word"]
    back = [*demo, "align.sources=[mfa,corpus]", f"align.mfa_dir={grids}", "against=corpus"]
    found = json_of(capsys, [*back, "levels=[word,phone]"])
    for level in ("word", "phone"):
        n = first["levels"][level]["utterances"]["corpus"]
        assert found["levels"][level]["utterances"]["mfa"] == n
        assert found["against"]["levels"][level]["starts"]["mean_s"] < 1e-6


def test_what_of_the_corpus_cannot_be_used_is_said(corpus_words, tones, tmp_path, capsys):
    shutil.copytree(tones.parent, tmp_path / "tones", ignore=shutil.ignore_patterns("cache"))
    (tmp_path / "tones" / "0ang2.wav").write_bytes(b"RIFF")
    words = [*corpus_words, f"data.manifest={tmp_path / 'tones' / 'tones.csv'}", "levels=[word]"]
    words += ["align.sources=[whole]", f"cache_dir={tmp_path / 'cache'}"]
    found = json_of(capsys, words)
    assert [(p["where"], p["kind"]) for p in found["problems"]] == [("0ang2", "not_audio")]
    assert json_of(capsys, [*words, "utterance=0ang1"])["problems"] == []


def test_one_utterance(corpus_words, capsys):
    words = [*corpus_words, "levels=[word]"]
    found = json_of(capsys, [*words, "utterance=0ang1"])
    assert found["utterances"] == 1
    assert found["units"] == [
        {"level": "word", "start_s": 0.0, "end_s": 0.4, "symbol": "", "source": "whole"}
    ]
    assert main(["align", *words, "utterance=0ang1"]) == 0
    assert "0.400 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["levels=[letter]"], "levels=['letter']: expected some of [word, syllable, phone]"),
        (["levels=[word,word]"], "each once"),
        (["format=xml"], "format=xml"),
        (["utterance=nobody"], "utterance=nobody: protocol groups5 selects no utterance"),
        (["align.sources=[mfa]"], "set align.mfa_dir=FOLDER"),
        (["align.sources=[mfa]", "align.mfa_dir=/nowhere"], "/nowhere is no folder"),
        (["align.sources=[sphinx]"], "expected a list of some of corpus, mfa, ctc, pocketsphinx"),
        (["against=sphinx"], "'sphinx' is none of"),
    ],
)
def test_wrong_use_is_refused(corpus_words, capsys, words, says):
    assert main(["align", *corpus_words, *words]) == 2
    assert says in capsys.readouterr().err
