import json
import unicodedata
from pathlib import Path

import polars
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from sermm.core.errors import InputError
from sermm.corpora.manifest import Manifest

CONF = Path(__file__).parents[2] / "conf"
ROWS = [
    {"path": "b/two.wav", "label": "hap", "speaker": "B"},
    {"path": "one.wav", "label": "ang", "speaker": "A"},
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("one.wav", "b/two.wav", "three.flac"):
        (tmp_path / name).touch()
    return tmp_path


def write(folder, text, name="list.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def csv(rows, separator=","):
    lines = [list(rows[0]), *(row.values() for row in rows)]
    return "".join(separator.join(str(cell) for cell in line) + "\n" for line in lines)


def save(folder, rows, suffix):
    path = folder / f"list{suffix}"
    if suffix == ".parquet":
        polars.DataFrame(rows).write_parquet(path)
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        path.write_text(csv(rows, {".csv": ",", ".tsv": "\t"}[suffix]), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same(folder, suffix):
    rows = [
        {**ROWS[0], "start_s": 0.5, "end_s": 2.25, "text": "Was für Tüten", "act": "scripted"},
        {**ROWS[1], "start_s": 1.0, "end_s": 2.0, "text": "Oh", "act": "improvised"},
    ]
    reading = Manifest(save(folder, rows, suffix)).read()
    assert reading.problems == ()
    two, one = reading.utterances
    assert (two.id, two.label, two.speaker) == ("b/two@0.500-2.250", "hap", "B")
    assert (two.start_s, two.end_s, two.path) == (0.5, 2.25, folder / "b/two.wav")
    assert (two.transcript, two.act, two.corpus) == ("Was für Tüten", "scripted", "manifest")
    assert (one.id, one.group, one.dialogue, one.gender) == ("one@1.000-2.000", None, None, None)


def test_all_columns(folder):
    columns = "id,path,label,speaker,text,group,dialogue,start_s,end_s,gender,act"
    path = write(folder, f'{columns}\nx,one.wav,ang,A,"Oh, no",1,d7,,,Female,improvised\n')
    (x,) = Manifest(path, name="calls").read().utterances
    assert (x.id, x.corpus, x.transcript, x.group, x.dialogue) == (
        "x",
        "calls",
        "Oh, no",
        "1",
        "d7",
    )
    assert (x.start_s, x.end_s, x.gender, x.act) == (None, None, "f", "improvised")


def test_an_empty_text_is_known_to_be_silent_a_missing_one_unknown(folder):
    path = save(
        folder,
        [{**ROWS[0], "text": ""}, {**ROWS[1], "text": None}],
        ".jsonl",
    )
    assert [u.transcript for u in Manifest(path).read().utterances] == ["", None]


def test_numbers_stay_as_they_are_written(folder):
    path = write(folder, "path,label,speaker\none.wav,1,007\n")
    (one,) = Manifest(path).read().utterances
    assert (one.label, one.speaker) == ("1", "007")


def test_a_byte_order_mark_and_windows_lines(folder):
    for name, text in (
        ("a.csv", "path,label,speaker\r\none.wav,ang,A\r\n"),
        ("a.jsonl", json.dumps(ROWS[1]) + "\r\n"),
    ):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        (one,) = Manifest(folder / name).read().utterances
        assert (one.id, one.label, one.speaker) == ("one", "ang", "A")


def test_root_columns_and_labels(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("lists")
    path = write(
        elsewhere, "file,emotion,speaker\none.wav,joy,A\nb/two.wav,rage,B\nthree.flac,meh,C\n"
    )
    reading = Manifest(
        path,
        root=folder,
        columns={"path": "file", "label": "emotion"},
        labels={"joy": "hap", "meh": None},
    ).read()
    assert {u.id: u.label for u in reading.utterances} == {
        "one": "hap",
        "b/two": None,
        "three": None,
    }
    (problem,) = reading.problems
    assert (problem.kind, problem.where) == ("unknown_label:rage", f"{path}, line 3")
    assert (problem.kept, reading.rows) == (True, 3)


def test_absolute_paths_stay(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("lists")
    path = write(elsewhere, f"path,label,speaker\n{folder / 'one.wav'},ang,A\n")
    (one,) = Manifest(path).read().utterances
    assert one.path == folder / "one.wav"
    assert one.id == (folder / "one").as_posix()


@pytest.mark.parametrize(
    ("row", "kind", "what"),
    [
        ("none.wav,ang,A,,,", "missing_wav", "none.wav"),
        (",ang,A,,,", "missing_path", "path is empty"),
        ("one.wav,ang,,,,", "missing_speaker", "speaker is empty"),
        ("one.wav,ang,A,soon,,", "bad_value", "start_s is 'soon', expected a number"),
        ("one.wav,ang,A,0,inf,", "bad_value", "end_s is 'inf'"),
        ("one.wav,ang,A,-inf,2,", "bad_value", "start_s is '-inf'"),
        (f"{'x' * 300}.wav,ang,A,,,", "missing_wav", "relative paths start at the table's folder"),
        ("one.wav,ang,A,2,1,", "bad_span", "0 <= start_s < end_s"),
        ("one.wav,ang,A,-1,1,", "bad_span", "0 <= start_s < end_s"),
        ("one.wav,ang,A,,,sung", "bad_value", "act is 'sung'"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_and_counted(folder, row, kind, what):
    path = write(folder, f"path,label,speaker,start_s,end_s,act\nb/two.wav,hap,B,,,\n{row}\n")
    reading = Manifest(path).read()
    assert [u.id for u in reading.utterances] == ["b/two"]
    (problem,) = reading.problems
    assert problem.kind == kind
    assert problem.where == f"{path}, line 3"
    assert what in problem.what


def test_a_row_without_a_label_stays_unlabelled(folder):
    reading = Manifest(write(folder, "path,label,speaker\none.wav,,A\n")).read()
    assert reading.utterances[0].label is None
    assert [p.kind for p in reading.problems] == ["missing_label"]


def test_the_manifest_itself(folder, tmp_path):
    with pytest.raises(InputError, match=r"data\.manifest is not given"):
        Manifest(None).read()
    with pytest.raises(InputError, match=r"data\.manifest=.*no\.csv is no file"):
        Manifest(tmp_path / "no.csv").read()
    with pytest.raises(InputError, match=r"data\.manifest=x{300} is no file"):
        Manifest("x" * 300).read()
    with pytest.raises(InputError, match=r"list\.xlsx: unknown kind of table"):
        Manifest(write(folder, "x", "list.xlsx")).read()
    with pytest.raises(InputError, match=r"data\.root=.*nowhere is no folder"):
        Manifest(write(folder, csv(ROWS)), root=tmp_path / "nowhere").read()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_an_empty_file(folder, suffix):
    with pytest.raises(InputError, match=rf"list\{suffix}: "):
        Manifest(write(folder, "", f"list{suffix}")).read()


def test_a_header_alone(folder):
    with pytest.raises(InputError, match="a header but no row"):
        Manifest(write(folder, "path,label,speaker\n")).read()


def test_a_missing_column(folder):
    path = write(folder, "path,emotion,who\none.wav,ang,A\n")
    with pytest.raises(InputError, match="no column label, speaker; its columns are path, emotion"):
        Manifest(path).read()
    with pytest.raises(InputError, match="no column speaker, said"):
        Manifest(path, columns={"text": "said", "label": "emotion"}).read()
    with pytest.raises(InputError, match=r"data\.columns: words is no column of a manifest"):
        Manifest(path, columns={"words": "text"})


def test_an_id_given_twice(folder):
    rows = [*ROWS, ROWS[0]]
    with pytest.raises(InputError, match=r"line 4: id 'b/two' is already that of .*line 2"):
        Manifest(save(folder, rows, ".csv")).read()


def test_no_usable_row(folder):
    path = write(folder, "path,label,speaker\nx.wav,ang,A\ny.wav,ang,A\n")
    with pytest.raises(InputError, match=r"none of its 2 rows is usable; .*x\.wav"):
        Manifest(path).read()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.csv", b"path,label,speaker\none.wav,ang,A,too,many\n", "line 2: 5 cells, .* has 3"),
        (
            "list.csv",
            b"path,label,speaker\nT\xfcten.wav,ang,A\n",
            "line 2: byte 0xfc .*'Tüten.*iconv",
        ),
        ("list.csv", "path,label,speaker\n".encode("utf-16-le"), "zero bytes.*iconv"),
        ("list.csv", b'"path,label\n', "line 1: the header cannot be read"),
        ("list.parquet", b"path,label,speaker\n", "not a readable PARQUET"),
        ("list.jsonl", b'{"path": \n', "line 1: not JSON"),
        ("list.jsonl", b"[1, 2]\n", "line 1: expected an object"),
    ],
)
def test_a_broken_table(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        Manifest(folder / name).read()


def test_configured_from_the_command_line(folder):
    write(folder, "path,emotion,speaker\none.wav,joy,A\n")
    overrides = [
        f"manifest={folder / 'list.csv'}",
        "columns.label=emotion",
        "labels={joy: hap}",
    ]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF / "data"), version_base="1.3"):
        config = compose("manifest", overrides)
    (one,) = instantiate(config).read().utterances
    assert one.label == "hap"


@pytest.mark.parametrize(("cell", "disk"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_names_in_either_form_of_unicode(folder, cell, disk):
    def row(form, name):
        cells = (f"Jürgen/{name}.wav", "Ärger", "Jürgen")
        return ",".join(unicodedata.normalize(form, text) for text in cells)

    for name in ("für", "über"):
        path = folder / unicodedata.normalize(disk, f"Jürgen/{name}.wav")
        path.parent.mkdir(exist_ok=True)
        path.touch()
    header = unicodedata.normalize(cell, "path,Gefühl,speaker")
    table = write(folder, "\n".join((header, row(cell, "für"), row("NFC", "über"))))
    columns, labels = {"label": "Gefühl"}, {unicodedata.normalize("NFD", "Ärger"): "ang"}
    reading = Manifest(table, columns=columns, labels=labels).read()
    assert reading.problems == ()
    assert [(u.id, u.speaker, u.label) for u in reading.utterances] == [
        ("Jürgen/für", "Jürgen", "ang"),
        ("Jürgen/über", "Jürgen", "ang"),
    ]
    assert all(u.path.is_file() for u in reading.utterances)
