import os
from pathlib import Path

import pytest

from sermm.core.records import Span
from sermm.corpora.emodb import EmoDb
from sermm.corpora.emodb_labels import label_spans

HEAD = "signal x\ntype 0\ncomment created using xlabel Wed Apr 26 12:59:18 2000\nnfields 1\n#\n"
PHONES = HEAD + "".join(
    f"    {row}\n"
    for row in (
        "0.100000   -1 _d\t-sth",
        "0.110000   -1 !d\t+asp",
        "0.150000   -1 a\t+hoe\t2",
        "0.160000   -1 \t-hoe",
        "0.170000   -1\t-tie",
        "0.180000   -1 -sth",
        "0.200000   -1 t",
        "0.250000   -1 !t",
        "0.260000   -1 tasp",
        "0.300000   -1 (gef",
        "0.400000   -1 (",
        "0.500000   -1 !t    +na",
        "0.550000   -1 !",
        "0.600000   -1 aI    +eng    3",
        "0.700000   -1 6 +eng",
        "0.800000   -1 . -eng]",
    )
)
SYLLABLES = "0.100000\ttüt\n0.300000\t(\n0.500000\tei\n0.800000\t.\n"


def write(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="iso-8859-1")


def plain(spans):
    return [(s.symbol, s.start_s, s.end_s) for s in spans]


def test_parts_are_joined_and_marks_and_pauses_divide_nothing(tmp_path):
    write(tmp_path / "lablaut", "03a01Faxx.lablaut", PHONES)
    found = label_spans(tmp_path / "03a01Fa.wav", "03a01Fa", "phone")
    assert plain(found) == [
        ("d", 0.1, 0.15),
        ("a", 0.15, 0.2),
        ("t", 0.2, 0.3),
        ("t", 0.5, 0.6),
        ("aI", 0.6, 0.7),
        ("6", 0.7, 0.8),
    ]
    assert {(s.level, s.source) for s in found} == {("phone", "corpus")}


def test_labels_lie_beside_the_folder_of_the_clips(tmp_path):
    write(tmp_path / "silb", "u.silb", SYLLABLES)
    assert label_spans(tmp_path / "wav" / "x" / "y" / "u.wav", "u", "syllable", tmp_path)
    assert not label_spans(tmp_path / "wav" / "x" / "y" / "u.wav", "u", "syllable")
    assert label_spans(tmp_path / "wav" / "u.wav", "u", "syllable") == (
        Span("tüt", 0.1, 0.3, "syllable", "corpus"),
        Span("ei", 0.5, 0.8, "syllable", "corpus"),
    )


def test_the_second_folder_serves_where_the_first_is_empty(tmp_path):
    write(tmp_path / "silb", "u.silb", "")
    rows = "    0.080080   -1 der\t0.4\n    0.244195   -1 (\n    0.4   -1 .\t\n"
    write(tmp_path / "labsilb", "u.labsilb", HEAD + rows)
    found = label_spans(tmp_path / "u.wav", "u", "syllable")
    assert plain(found) == [("der", 0.08008, 0.244195)]


def test_no_labels_no_spans(tmp_path):
    write(tmp_path / "lablaut", "uxx.lablaut", HEAD)
    for level in ("phone", "syllable", "word"):
        assert label_spans(tmp_path / "u.wav", "u", level) == ()


@pytest.mark.real_speech
@pytest.mark.skipif("SERMM_REAL_SPEECH" not in os.environ, reason="SERMM_REAL_SPEECH is not set")
def test_the_whole_corpus():
    corpus = EmoDb(Path(os.environ["SERMM_REAL_SPEECH"]) / "emodb", {})
    utterances = corpus.read().utterances
    syllables = {u.id: corpus.spans(u, "syllable") for u in utterances}
    phones = {u.id: corpus.spans(u, "phone") for u in utterances}
    assert all(syllables.values())
    assert [i for i, spans in phones.items() if not spans] == ["08a01Ab", "08a01Wa"]
    symbols = [s.symbol for s in syllables["03a01Fa"]]
    assert symbols == ["der", "la", "pen", "liegt", "auf", "dem", "eis", "schrank"]
    starts = {round(s.start_s, 2) for s in phones["03a01Fa"]}
    near = sum(round(s.start_s, 2) in starts for s in syllables["03a01Fa"])
    assert near == 6, "all but `liegt` and `schrank` start where a phone starts"
    short = [s for spans in phones.values() for s in spans if s.end_s <= s.start_s]
    assert len(short) < 10
