import pytest

from sermm.core.errors import InputError
from sermm.core.records import Span
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
    aligned = TextGrids(tmp_path).align("u1")
    assert aligned.spans == {}
    assert [(p.where, p.kind) for p in aligned.problems] == [("u1", "bad_textgrid")]


def test_files_are_found_in_any_depth(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "u1.TextGrid").write_text(LONG)
    (tmp_path / "b" / "._u2.TextGrid").write_text(LONG)
    grids = TextGrids(str(tmp_path))
    assert grids.align("u1").spans == EXPECTED
    assert grids.align("u2").spans == {}
    assert [(p.where, p.kind) for p in grids.align("u2").problems] == [("u2", "missing_textgrid")]


def test_two_files_of_one_name_are_told(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "u1.TextGrid").write_text(LONG)
    aligned = TextGrids(tmp_path).align("u1")
    assert aligned.spans == EXPECTED
    assert [p.kind for p in aligned.problems] == ["two_textgrids"]


@pytest.mark.parametrize(("made", "says"), [(True, "holds no TextGrid"), (False, "is no folder")])
def test_a_wrong_folder_is_refused(tmp_path, made, says):
    folder = tmp_path / "aligned"
    if made:
        folder.mkdir()
    with pytest.raises(InputError, match=rf"align\.mfa_dir=.*aligned {says}"):
        TextGrids(folder).align("u1")


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
