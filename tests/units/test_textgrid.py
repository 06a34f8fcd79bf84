from pathlib import Path

import pytest

from sermm.core.errors import InputError
from sermm.core.records import Span, Utterance
from sermm.units.files import FilesOfUtterances
from sermm.units.textgrid import TextGrids, read_textgrid, write_textgrid

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0.0
            xmax = 0.25
            text = ""
        intervals [2]:
            xmin = 0.25
            xmax = 0.75
            text = "tüt"
        intervals [3]:
            xmin = 0.75
            xmax = 1.5
            text = "<eps>"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 4
        intervals [1]:
            xmin = 0.0
            xmax = 0.25
            text = "sil"
        intervals [2]:
            xmin = 0.25
            xmax = 0.5
            text = "T"
        intervals [3]:
            xmin = 0.5
            xmax = 0.75
            text = "UW1"
        intervals [4]:
            xmin = 0.75
            xmax = 1.5
            text = "spn"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
2
"IntervalTier"
"anna - words"
0
1.5
3
0.0
0.25
""
0.25
0.75
"tüt"
0.75
1.5
"sp"
"IntervalTier"
"anna - phones"
0
1.5
3
0.25
0.5
"T"
0.5
0.75
"UW1"
0.75
1.5
""
"""
EXPECTED = {
    "word": (Span("tüt", 0.25, 0.75, "word", "mfa"),),
    "phone": (Span("T", 0.25, 0.5, "phone", "mfa"), Span("UW1", 0.5, 0.75, "phone", "mfa")),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-bom"])
@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
def test_both_forms_and_all_encodings(tmp_path, text, encoding):
    path = tmp_path / "u1.TextGrid"
    be = encoding == "utf-16-be-bom"
    path.write_bytes(b"\xfe\xff" + text.encode("utf-16-be") if be else text.encode(encoding))
    assert read_textgrid(path) == EXPECTED


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (LONG[:500].encode(), "not a whole TextGrid"),
        (b"", "not a whole TextGrid"),
        (LONG.encode("latin-1"), "not a whole TextGrid"),
        (LONG.replace("words", "a").replace("phones", "b").encode(), "found a, b"),
        (LONG.replace("xmax = 0.75", "xmax = x").encode(), "not a whole TextGrid"),
    ],
)
def test_damaged_files_name_the_file(tmp_path, content, says):
    (tmp_path / "u1.TextGrid").write_bytes(content)
    with pytest.raises(InputError, match=rf"u1\.TextGrid: .*{says}"):
        read_textgrid(tmp_path / "u1.TextGrid")
    one = Utterance("u1", "c", Path("u1.wav"), None, "s")
    aligned = TextGrids(tmp_path, [one]).align(one)
    assert aligned.spans == {}
    assert [(p.where, p.kind) for p in aligned.problems] == [("u1", "bad_textgrid")]


def utterance(uid, path=None, start_s=None, end_s=None):
    return Utterance(uid, "c", Path(path or f"/c/{uid}.wav"), None, "s", None, start_s, end_s)


def write(folder, *names):
    for name in names:
        path = folder / f"{name}.TextGrid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LONG, encoding="utf-8")


def found(folder, *utterances):
    """The file of each utterance without the suffix; None where there is none."""
    grids = FilesOfUtterances(folder, ".TextGrid", {u.id: u.path for u in utterances}, "mfa_dir")
    files = [grids.find(u.id) for u in utterances]
    return [f and f[0].relative_to(folder).with_suffix("").as_posix() for f in files]


def test_files_are_found_in_any_depth(tmp_path):
    write(tmp_path, "b/c/u1", "b/._u2")
    grids = TextGrids(str(tmp_path), [utterance("u1"), utterance("u2")])
    assert grids.align(utterance("u1")).spans == EXPECTED
    aligned = grids.align(utterance("u2"))
    assert aligned.spans == {}
    assert [(p.where, p.kind) for p in aligned.problems] == [("u2", "missing_textgrid")]
    assert "looked for u2.TextGrid, c/u2.TextGrid below" in aligned.problems[0].what
    assert "1 are there, such as b/c/u1.TextGrid" in aligned.problems[0].what


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        # as the Montreal Forced Aligner writes them, whatever the corpus's root was for it
        (["anna/clip", "bert/clip"], ["anna/clip", "bert/clip"]),
        (["wav/anna/clip", "wav/bert/clip"], ["anna/clip", "bert/clip"]),
        (["anna/clip", "bert/clip"], ["run/anna/clip", "run/bert/clip"]),
        # the bare name, where nobody else bears it
        (["anna/one", "bert/two"], ["one", "two"]),
        (["wav/one", "wav/two"], ["anna/one", "bert/two"]),
        (["clip", "anna/clip"], ["clip", "anna/clip"]),
        (["Jürgen/für", "u"], ["Ju\u0308rgen/fu\u0308r", "x/u"]),
        (["a.b@0.000-1.500", "a.b@1.500-"], ["a.b@0.000-1.500", "x/a.b@1.500-"]),
    ],
)
def test_folders_tell_whose_file_it_is(tmp_path, ids, names):
    write(tmp_path, *names)
    assert found(tmp_path, *map(utterance, ids)) == names


def test_ids_of_their_own_are_found_by_the_audio(tmp_path):
    write(tmp_path, "anna/clip", "bert/clip", "u3")
    some = [utterance(f"u{n}", f"/wav/{name}/clip.wav") for n, name in enumerate(("bert", "anna"))]
    assert found(tmp_path, *some, utterance("u3", "/wav/anna/clip.wav")) == [
        "bert/clip",
        "anna/clip",
        "u3",
    ]


def test_a_file_that_fits_another_utterance_better_is_not_taken(tmp_path):
    write(tmp_path, "bert/clip", "carl/clip")
    some = [utterance(f"{name}/clip") for name in ("anna", "bert", "carl")]
    assert found(tmp_path, *some) == [None, "bert/clip", "carl/clip"]
    write(tmp_path / "flat", "clip")
    assert found(tmp_path / "flat", utterance("clip"), utterance("a/clip")) == ["clip", None]


@pytest.mark.parametrize(
    ("ids", "names", "says"),
    [
        (["u1"], ["a/u1", "b/u1"], "a/u1.TextGrid or .*b/u1.TextGrid may be that of utterance u1"),
        (["a/u", "b/u"], ["u"], "u.TextGrid may be that of utterance a/u or of b/u; .*/c/a/u.wav"),
        (["a/u", "b/u"], ["x/u"], "may be that of utterance a/u or of b/u"),
        (
            ["anna/one"],
            ["b/two"],
            "none of its TextGrids belongs to an utterance of this corpus; there is "
            "b/two.TextGrid, and for anna/one one of anna/one.TextGrid, one.TextGrid was expected",
        ),
    ],
)
def test_what_cannot_be_told_is_an_error_that_names_both(tmp_path, ids, names, says):
    write(tmp_path, *names)
    with pytest.raises(InputError, match=rf"mfa_dir=.*{says}"):
        found(tmp_path, *map(utterance, ids))


def test_a_grid_of_the_whole_file_is_cut_to_the_utterance(tmp_path):
    write(tmp_path, "anna/long", "own")
    early = utterance("anna/long@0.000-0.500", "/c/anna/long.wav", 0.0, 0.5)
    late = utterance("anna/long@0.500-1.500", "/c/anna/long.wav", 0.5, 1.5)
    own = utterance("own", "/c/anna/long.wav", 0.5, 1.5)
    grids = TextGrids(tmp_path, [early, late, own])
    symbols = {u.id: [s.symbol for s in grids.align(u).spans["phone"]] for u in (early, late)}
    assert symbols == {early.id: ["T"], late.id: ["UW1"]}
    assert grids.align(late).spans["phone"][0].end_s == 0.25
    assert grids.align(own).spans == EXPECTED


@pytest.mark.parametrize(("made", "says"), [(True, "holds no TextGrid"), (False, "is no folder")])
def test_a_wrong_folder_is_refused(tmp_path, made, says):
    folder = tmp_path / "aligned"
    if made:
        folder.mkdir()
    with pytest.raises(InputError, match=rf"align\.mfa_dir=.*aligned {says}"):
        TextGrids(folder, [utterance("u1")]).align(utterance("u1"))


def test_what_is_written_is_read_again(tmp_path):
    syllable = Span("T_UW1", 0.25, 0.75, "syllable", "mfa")
    write_textgrid(tmp_path / "u.TextGrid", {**EXPECTED, "syllable": (syllable,)}, 1.5)
    assert read_textgrid(tmp_path / "u.TextGrid") == EXPECTED
    text = (tmp_path / "u.TextGrid").read_text(encoding="utf-8")
    assert text.index('"words"') < text.index('"syllables"') < text.index('"phones"')
    assert 'text = "T_UW1"' in text
    assert list(tmp_path.iterdir()) == [tmp_path / "u.TextGrid"]


def test_overlaps_are_cut_and_empty_levels_written(tmp_path):
    words = [Span(s, a, b, "word", "x") for s, a, b in (('"a', 0.0, 0.6), ("b", 0.5, 0.9))]
    write_textgrid(tmp_path / "u.TextGrid", {"word": words, "phone": ()}, 1.0)
    found = read_textgrid(tmp_path / "u.TextGrid")
    assert [(s.symbol, s.start_s, s.end_s) for s in found["word"]] == [
        ('"a', 0.0, 0.5),
        ("b", 0.5, 0.9),
    ]
    assert found["phone"] == ()
