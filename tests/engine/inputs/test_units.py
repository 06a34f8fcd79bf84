"""Units of a small corpus whose reader gives what each test says."""

import csv
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sermm.configuration.verbs import AlignVerbConfig
from sermm.core.errors import InputError
from sermm.core.records import Problem, Span
from sermm.engine.inputs import unit_sources as alignment_sources
from sermm.engine.inputs.corpus import load
from sermm.engine.inputs.unit_report import agreement, counts, matched
from sermm.engine.inputs.unit_sources import HeardSource, make_source
from sermm.engine.inputs.units import sources_asked, units, units_from
from sermm.units.aligned import Aligned
from sermm.units.textgrid import write_textgrid

LEVELS = ["word", "syllable", "phone"]
TEXTS = {"a": "go away", "b": "no", "c": "", "d": "go away"}


def span(symbol, start, end, level="word", source="corpus"):
    return Span(symbol, float(start), float(end), level, source)


class Reader:
    """A reader with alignments of its own: rows by utterance and level."""

    def __init__(self, rows):
        self.rows = rows
        self.asked = []

    def read(self):
        raise AssertionError("it has been read")

    def spans(self, utterance, level):
        self.asked.append((utterance.id, level))
        found = self.rows.get((utterance.id, level), [])
        return tuple(span(*row, level) for row in found)


@pytest.fixture
def plain(tmp_path):
    """Four clips of 1 s by four talkers; `d` is the same recording as `a`."""
    rng = np.random.default_rng(0)
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker", "text"])
        for number, (name, text) in enumerate(TEXTS.items()):
            samples = 0.1 * rng.standard_normal(16000)
            if name == "d":
                samples, _ = soundfile.read(tmp_path / "a.wav")
            soundfile.write(tmp_path / f"{name}.wav", samples, 16000, "FLOAT")
            label = ["ang", "hap", "neu", "sad"][number]
            rows.writerow([f"{name}.wav", label, name, text])
    words = ["data=manifest", f"data.manifest={tmp_path / 'clips.csv'}", "protocol=groups5"]
    return AlignVerbConfig.of([*words, f"cache_dir={tmp_path / 'cache'}"])


def with_reader(plain, rows):
    return replace(load(plain), reader=Reader(rows))


def aligned_by(plain, *sources, **options):
    changes = {f"align.{name}": value for name, value in options.items()}
    return plain.changed({"align.sources": list(sources), **changes})


def test_a_corpus_without_alignments_has_whole_utterances(plain):
    found = units(plain, load(plain), LEVELS)
    for level in LEVELS:
        whole = (Span("", 0.0, 1.0, level, "whole"),)
        assert found[level].spans == dict.fromkeys("abcd", whole)
        assert found[level].sources == {"whole": 4}
        assert found[level].problems == []


def test_each_level_takes_the_first_source_that_has_it(plain):
    rows = {
        ("a", "word"): [("GO", 0.1, 0.3), ("AWAY", 0.3, 0.7)],
        ("a", "phone"): [("G", 0.1, 0.2), ("OW", 0.2, 0.3)],
        ("b", "syllable"): [("N_OW", 0.2, 0.5)],
    }
    found = units(plain, with_reader(plain, rows), LEVELS)
    assert found["word"].sources == {"whole": 3, "corpus": 1}
    assert [s.symbol for s in found["word"].spans["a"]] == ["GO", "AWAY"]
    # a has no syllables: they are made of its phones and words
    assert found["syllable"].spans["a"] == (span("G_OW", 0.1, 0.3, "syllable", "corpus_phones"),)
    assert found["syllable"].spans["b"] == (span("N_OW", 0.2, 0.5, "syllable"),)
    assert found["syllable"].sources == {"whole": 2, "corpus_phones": 1, "corpus": 1}
    assert found["phone"].sources == {"whole": 3, "corpus": 1}


def test_a_level_that_is_not_asked_for_is_not_read(plain):
    loaded = with_reader(plain, {(i, "syllable"): [("x", 0.0, 0.5)] for i in "abcd"})
    assert list(units(plain, loaded, ["syllable"])) == ["syllable"]
    assert loaded.reader.asked == [(i, "syllable") for i in "abcd"]


def test_phones_of_another_alphabet_make_no_syllables(plain):
    loaded = with_reader(plain, {("a", "phone"): [("a:", 0.1, 0.2), ("6", 0.2, 0.3)]})
    found = units(plain, loaded, ["syllable", "phone"])
    assert found["syllable"].sources == {"whole": 4}
    assert found["phone"].sources == {"whole": 3, "corpus": 1}


def test_bad_times_are_put_right_and_told(plain):
    rows = {
        ("a", "word"): [("beyond", 0.5, 1.8), ("early", 0.1, 0.3), ("after", 1.2, 1.5)],
        ("b", "word"): [("one", 0.1, 0.5), ("two", 0.4, 0.6), ("empty", 0.7, 0.7)],
        ("c", "word"): [("reversed", 0.5, 0.2)],
    }
    found = units(plain, with_reader(plain, rows), ["word"])["word"]
    assert [(s.symbol, s.end_s) for s in found.spans["a"]] == [("early", 0.3), ("beyond", 1.0)]
    assert [s.symbol for s in found.spans["b"]] == ["one", "two"]
    assert found.spans["c"][0].source == "whole"
    assert {(p.where, p.kind) for p in found.problems} == {
        ("a", "units_unsorted"),
        ("a", "unit_outside_audio"),
        ("a", "unit_beyond_audio"),
        ("b", "units_overlap"),
        ("b", "unit_without_length"),
        ("c", "unit_without_length"),
    }


def test_textgrids_come_before_or_after_the_corpus_as_named(plain, tmp_path):
    grids = tmp_path / "grids"
    write_textgrid(grids / "x" / "a.TextGrid", {"word": [span("go", 0.2, 0.4)]}, 1.0)
    (grids / "b.TextGrid").write_text("no grid")
    loaded = with_reader(plain, {("a", "word"): [("GO", 0.1, 0.3)], ("b", "word"): [("NO", 0, 1)]})
    options = {"mfa_dir": str(grids)}
    found = units(aligned_by(plain, "mfa", "corpus", **options), loaded, ["word"])["word"]
    assert [found.spans[i][0].source for i in "abcd"] == ["mfa", "corpus", "whole", "whole"]
    assert sorted((p.where, p.kind) for p in found.problems) == [
        ("b", "bad_textgrid"),
        ("c", "missing_textgrid"),
        ("d", "missing_textgrid"),
    ]
    found = units(aligned_by(plain, "corpus", "mfa", **options), loaded, ["word"])["word"]
    assert [found.spans[i][0].source for i in "abcd"] == ["corpus", "corpus", "whole", "whole"]


@pytest.mark.parametrize(
    ("sources", "options", "says"),
    [
        ([], {}, "expected a list of some of"),
        ("corpus", {}, "align.sources=corpus: expected a list"),
        (["corpus", "kaldi"], {}, "expected a list of some of corpus, mfa"),
        (["corpus", "corpus"], {}, "each once"),
        (["corpus"], {"mfa_dir": "x"}, "does not name mfa"),
    ],
)
def test_wrong_sources_are_refused(plain, sources, options, says):
    def asked():
        changes = {f"align.{name}": value for name, value in options.items()}
        return sources_asked(plain.changed({"align.sources": sources, **changes}).align)

    with pytest.raises(InputError, match=says):
        asked()


def test_whole_is_always_the_last(plain):
    assert sources_asked(aligned_by(plain, "whole", "corpus").align) == ["corpus", "whole"]


def test_what_cannot_be_had_is_refused(plain, tmp_path, monkeypatch):
    loaded = load(plain)
    with pytest.raises(InputError, match=r"align\.mfa_dir=FOLDER"):
        units(aligned_by(plain, "mfa"), loaded, ["word"])
    with pytest.raises(InputError, match="levels: letter is none of"):
        units(plain, loaded, ["word", "letter"])
    monkeypatch.setattr("sermm.recognisers.sphinx_aligner.is_installed", lambda: False)
    with pytest.raises(InputError, match=r"sermm\[sphinx\]"):
        units(aligned_by(plain, "pocketsphinx"), loaded, ["word"])
    options = {"ctc": {"id": str(tmp_path), "revision": None}}
    with pytest.raises(InputError, match=r"align\.ctc"):
        units(aligned_by(plain, "ctc", **options), loaded, ["word"])


class Slow(HeardSource):
    """Says one word that lasts as long as the text has letters, in hundredths; counts its work."""

    name = syllables = "ctc"
    title = "Aligning (slow)"
    heard: list[str]
    dies_at = None

    def listen(self, utterances):
        for u in utterances:
            if u.id == self.dies_at:
                raise KeyboardInterrupt
            self.heard.append(u.id)
            text = self._text(u)
            if not text:
                yield u, Aligned({}, (Problem(u.id, "nothing said", "no_words"),))
            else:
                word = span(text, 0.1, 0.1 + len(text) / 100, source="ctc")
                yield u, Aligned({"word": (word,)})


def slow(plain, loaded, dies_at=None, identity=1):
    source = Slow(loaded, plain.cache_dir, {"model": identity})
    source.heard, source.dies_at = [], dies_at
    return source


def test_what_was_heard_is_kept_by_sound_and_text(plain):
    loaded = load(plain)
    first = slow(plain, loaded)
    found = units_from([first], loaded, ["word"], False)["word"]
    assert sorted(first.heard) in (["a", "b", "c"], ["b", "c", "d"]), "one recording is heard once"
    assert sorted(found.spans) == ["a", "b", "d"]
    assert found.spans["a"] == found.spans["d"] == (span("go away", 0.1, 0.17, source="ctc"),)
    assert [(p.where, p.kind) for p in found.problems] == [("c", "no_words")]

    again = slow(plain, loaded)
    assert units_from([again], loaded, ["word"], False)["word"] == found
    assert again.heard == []

    other_text = replace(loaded, texts={**loaded.texts, "b": "yes"})
    source = slow(plain, other_text)
    assert units_from([source], other_text, ["word"], False)["word"].spans["b"][0].symbol == "yes"
    assert source.heard == ["b"]

    other_model = slow(plain, loaded, identity=2)
    units_from([other_model], loaded, ["word"], False)
    assert len(other_model.heard) == 3


def test_it_goes_on_where_it_was_stopped(plain):
    loaded = load(plain)
    with pytest.raises(KeyboardInterrupt):
        units_from([slow(plain, loaded, dies_at="c")], loaded, ["word"], False)
    second = slow(plain, loaded)
    units_from([second], loaded, ["word"], False)
    assert second.heard == ["c"]


def test_a_damaged_part_is_told_and_heard_again(plain, capsys):
    loaded = load(plain)
    units_from([slow(plain, loaded)], loaded, ["word"], False)
    (part,) = Path(plain.cache_dir).glob("alignments/*/piece-*.json")
    part.write_bytes(part.read_bytes()[:-20])
    again = slow(plain, loaded)
    units_from([again], loaded, ["word"], False)
    assert len(again.heard) == 3
    assert f"{part}: damaged" in capsys.readouterr().err


@pytest.mark.skipif(not importlib.util.find_spec("pocketsphinx"), reason="needs pocketsphinx")
def test_pocketsphinx_falls_to_the_next_source_on_noise(plain):
    loaded = with_reader(plain, {("a", "word"): [("GO", 0.1, 0.3)]})
    found = units(aligned_by(plain, "pocketsphinx", "corpus"), loaded, ["word"])["word"]
    assert set(found.spans) == set("abcd")
    assert found.spans["c"][0].source == "whole"
    kinds = {p.kind for p in found.problems}
    assert kinds <= {"cannot_be_aligned"}


def test_ctc_uses_batches_and_the_texts_of_text_source(plain, monkeypatch):
    loaded = load(plain)

    class Aligner:
        identity = {"aligner": "fake"}  # noqa: RUF012
        batches = []  # noqa: RUF012

        def align(self, ids, waveform, texts):
            self.batches.append((sorted(ids), len(waveform), sorted(texts)))
            return [Aligned({"word": (span("w", 0.0, 0.5, source="ctc"),)}) for _ in ids]

    class Model:
        def __init__(self, *args, **options):
            pass

        def to(self, device):
            return self

    monkeypatch.setattr("sermm.recognisers.ctc.CTCModel", Model)
    monkeypatch.setattr("sermm.recognisers.ctc_alignment.CtcAligner", lambda model: Aligner())
    monkeypatch.setattr(alignment_sources, "_BATCH_S", 10.0)
    found = units(aligned_by(plain, "ctc"), loaded, ["word", "phone"])
    assert found["word"].sources == {"ctc": 4}
    assert found["phone"].sources == {"whole": 4}
    ((ids, n, texts),) = Aligner.batches
    assert (len(ids), n, texts) == (3, 3, ["", "go away", "no"])


def test_counts_leave_whole_utterances_out(plain):
    rows = {("a", "word"): [("GO", 0.1, 0.3), ("AWAY", 0.3, 0.7), ("NOW", 0.7, 1.0)]}
    found = units(plain, with_reader(plain, rows), ["word"])["word"]
    assert counts(found, dict.fromkeys("abcd", 1.5)) == {
        "utterances": {"whole": 3, "corpus": 1},
        "units": 3,
        "per_second": 2.0,
        "mean_s": pytest.approx(0.3),
        "median_s": pytest.approx(0.3),
    }
    nothing = units(plain, load(plain), ["word"])["word"]
    assert counts(nothing, {})["per_second"] is None


def test_boundaries_of_two_sources(plain):
    rows = {
        ("a", "word"): [("GO", 0.10, 0.30), ("um", 0.3, 0.4), ("AWAY", 0.40, 0.70)],
        ("b", "word"): [("NO", 0.0, 0.5)],
    }
    loaded = with_reader(plain, rows)
    chosen = units_from([make_source("corpus", plain, loaded)], loaded, ["word"], False)
    others = units_from([make_source("whole", plain, loaded)], loaded, ["word"], False)
    others["word"].spans["a"] = (
        span("go", 0.11, 0.33, source="mfa"),
        span("away", 0.46, 0.70, source="mfa"),
        span("away", 0.80, 0.90, source="mfa"),
    )
    found = agreement(chosen, others)["word"]
    assert (found["utterances"], found["units"], found["matched"]) == (2, 4, 2)
    assert found["starts"] == {
        "median_s": pytest.approx(0.035),
        "mean_s": pytest.approx(0.035),
        "within_10_ms": 0.5,
        "within_20_ms": 0.5,
        "within_50_ms": 0.5,
    }
    assert found["ends"]["within_50_ms"] == 1.0
    itself = agreement(chosen, chosen)["word"]
    assert (itself["utterances"], itself["starts"]) == (0, None)


def test_symbols_match_whatever_their_case_and_stress():
    ours = [span(s, 0, 1) for s in ("DH_AH0", "K_AE1_T", "2")]
    theirs = [span(s, 0, 1) for s in ("x", "dh_ah", "K_AE_T", "2")]
    assert [(a.symbol, b.symbol) for a, b in matched(ours, theirs)] == [
        ("DH_AH0", "dh_ah"),
        ("K_AE1_T", "K_AE_T"),
        ("2", "2"),
    ]
