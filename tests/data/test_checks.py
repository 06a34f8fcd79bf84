import os

import numpy as np
import pytest
import soundfile

from sermm.core import progress
from sermm.core.records import Utterance
from sermm.data import checks
from sermm.data.checks import check


def utterance(path, name=None, corpus="mini", **span):
    return Utterance(name or path.stem, corpus, path, "ang", "s1", **span)


def tone(seconds):
    return 0.5 * np.sin(np.arange(round(16000 * seconds)) / 5)


@pytest.fixture
def corpus(tmp_path):
    paths = [tmp_path / f"{name}.wav" for name in ("a", "b", "bad")]
    for seconds, path in zip((1.0, 2.5), paths, strict=False):
        soundfile.write(path, tone(seconds), 16000)
    soundfile.write(paths[2], np.full(100, np.nan), 16000, subtype="FLOAT")
    spans = [utterance(paths[1], "b1", start_s=0.5, end_s=1.25), utterance(tmp_path / "no.wav")]
    return [utterance(path) for path in paths] + spans


@pytest.fixture
def decoded(monkeypatch):
    names = []
    measure = checks.measure
    monkeypatch.setattr(
        checks, "measure", lambda path, *span: names.append(path.name) or measure(path, *span)
    )
    return names


def test_lengths_and_problems(corpus, tmp_path, capsys):
    seconds, problems = check(corpus, tmp_path / "cache")
    assert {i: m.seconds for i, m in seconds.items()} == {"a": 1.0, "b": 2.5, "b1": 0.75}
    assert len({m.digest for m in seconds.values()}) == 3
    assert [(p.where, p.kind) for p in problems] == [
        ("bad", "not_finite"),
        ("no", "missing_file"),
    ]
    assert "bad.wav: 100 samples are NaN" in problems[0].what
    assert capsys.readouterr() == ("", "")


def test_what_is_wrong_with_its_levels_is_told_and_kept_with_the_verdict(tmp_path, decoded):
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "b.wav", tone(1.0) + 0.2, 16000)
    soundfile.write(tmp_path / "c.wav", 32768 * tone(1.0), 16000, subtype="FLOAT")
    corpus = [utterance(tmp_path / f"{name}.wav") for name in "abc"]
    for _ in range(2):
        usable, problems = check(corpus, tmp_path / "cache")
        assert list(usable) == ["a", "b"]
        assert [(p.where, p.kind, p.kept) for p in problems] == [
            ("a", "silent", True),
            ("b", "dc_offset", True),
            ("c", "out_of_range", False),
        ]
    assert len(decoded) == 3


def test_a_second_call_decodes_nothing_but_looks_for_missing_files(corpus, tmp_path, decoded):
    first = check(corpus, tmp_path / "cache")
    assert sorted(decoded) == ["a.wav", "b.wav", "b.wav", "bad.wav", "no.wav"]
    decoded.clear()
    assert check(corpus, tmp_path / "cache") == first
    assert decoded == ["no.wav"]


def test_a_changed_file_is_decoded_again(corpus, tmp_path, decoded):
    check(corpus, tmp_path / "cache")
    decoded.clear()
    soundfile.write(tmp_path / "bad.wav", tone(0.5), 16000)
    # The same size as before: only the time tells.
    soundfile.write(tmp_path / "a.wav", -tone(1.0), 16000)
    os.utime(tmp_path / "a.wav", ns=(1, 1))
    seconds, problems = check(corpus, tmp_path / "cache")
    assert sorted(decoded) == ["a.wav", "bad.wav", "no.wav"]
    assert seconds["bad"].seconds == 0.5
    assert [p.where for p in problems] == ["no"]


def test_a_part_of_the_corpus_uses_and_keeps_the_verdicts_on_the_whole(corpus, tmp_path, decoded):
    check(corpus, tmp_path / "cache")
    (tmp_path / "a.wav").touch()
    decoded.clear()
    assert check(corpus[:1], tmp_path / "cache")[0]["a"].seconds == 1.0
    assert decoded == ["a.wav"]
    check(corpus[:4], tmp_path / "cache")
    assert decoded == ["a.wav"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 0}', '{"version": 2, "verdicts": {}}']
)
def test_a_damaged_store_counts_as_none(corpus, tmp_path, content, decoded):
    store = tmp_path / "cache" / "audio-checks" / "mini.json"
    store.parent.mkdir(parents=True)
    store.write_text(content)
    assert len(check(corpus, tmp_path / "cache")[0]) == 3
    assert len(decoded) == 5


def test_verdicts_survive_an_interruption(corpus, tmp_path, monkeypatch):
    measure = checks.measure

    def interrupted(path, *span):
        if path.name == "no.wav":
            raise KeyboardInterrupt
        return measure(path, *span)

    monkeypatch.setattr(checks, "measure", interrupted)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        check(corpus, tmp_path / "cache")
    monkeypatch.setattr(checks, "measure", measure)
    assert len(check(corpus, tmp_path / "cache")[0]) == 3
    assert [p.name for p in (tmp_path / "cache" / "audio-checks").iterdir()] == ["mini.json"]


def test_corpora_have_stores_of_their_own_inside_the_cache(corpus, tmp_path):
    check([corpus[0], utterance(tmp_path / "b.wav", corpus="../x/y")], tmp_path / "cache")
    stores = sorted(p.name for p in (tmp_path / "cache" / "audio-checks").iterdir())
    assert stores == [".._x_y.json", "mini.json"]


def test_progress_goes_to_stderr_when_it_takes_long(corpus, tmp_path, monkeypatch, capsys):
    check(corpus, tmp_path / "one")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "_LINE_S", -1.0)
    check(corpus, tmp_path / "two")
    out, err = capsys.readouterr()
    assert out == ""
    assert "Checking audio: 100 %" in err
