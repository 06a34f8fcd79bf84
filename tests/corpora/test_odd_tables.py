"""Tables as spreadsheets, pandas, R and people leave them: no row is lost without a word."""

import json

import pytest

from sermm.core.errors import InputError
from sermm.corpora.manifest import Manifest

HEAD = "path,label,speaker,text"
NAMES = "abcdef"


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        (tmp_path / f"{name}.wav").touch()
    return tmp_path


@pytest.fixture
def read(folder):
    def written(text, name="list.csv", encoding="utf-8", **settings):
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        reading = Manifest(path, **settings).read()
        out = [problem for problem in reading.problems if not problem.kept]
        assert reading.rows == len(reading.utterances) + len(out)
        return reading

    return written


def texts(reading):
    return {u.id: u.transcript for u in reading.utterances}


def problems(reading):
    """Line and kind of each problem."""
    return [(int(p.where.rpartition(" ")[2]), p.kind) for p in reading.problems]


def tab(*rows):
    return "".join("\t".join(row) + "\n" for row in (HEAD.split(","), *rows))


def test_tabs_take_a_stray_quote_as_it_is(read):
    reading = read(
        tab(("a.wav", "ang", "A", '"Oh no'), ("b.wav", "hap", "B", 'six 5" nails')), "l.tsv"
    )
    assert texts(reading) == {"a": '"Oh no', "b": 'six 5" nails'}
    assert reading.problems == ()


def test_tabs_with_a_header_in_quotes_are_read_by_quotes(read):
    rows = '"path"\t"label"\t"speaker"\t"text"\n"a.wav"\t"ang"\t"A"\t"a\ttab, a ""quote"""\n'
    assert texts(read(rows, "l.tsv")) == {"a": 'a\ttab, a "quote"'}


@pytest.mark.parametrize(
    ("rows", "left", "bad"),
    [
        # Closed nowhere; in the next cell with quotes; where a later cell ends.
        ('a.wav,ang,A,"Oh no\nb.wav,hap,B,fine\n', "b", [2]),
        ('a.wav,ang,A,"Oh no\nb.wav,hap,B,"fine, thanks"\n', "b", [2]),
        ('a.wav,ang,A,"Oh no\nb.wav,hap,B,fine\nc.wav,sad,C,oh"\nd.wav,neu,D,x\n', "bcd", [2]),
        ('a.wav,ang,A,"Oh" no\nb.wav,hap,B,fine\n', "b", [2]),
        ('a.wav,ang,A,x\nb.wav,"hap,B,fine\nc.wav,sad,C,x\n', "ac", [3]),
    ],
)
def test_a_stray_quote_costs_its_own_row(read, rows, left, bad):
    reading = read(f"{HEAD}\n{rows}")
    assert "".join(u.id for u in reading.utterances) == left
    assert problems(reading) == [(line, "bad_row") for line in bad]
    assert 'a quote (") opens a cell' in reading.problems[0].what


def test_lines_after_a_transcript_of_several_lines(read):
    rows = 'a.wav,ang,A,"one\ntwo, and\nthree"\nb.wav,hap,,x\nc.wav,sad,C,"x\r\ny"\nd.wav,,D,x\n'
    reading = read(f"{HEAD}\n{rows}")
    assert texts(reading) == {"a": "one\ntwo, and\nthree", "c": "x\r\ny", "d": "x"}
    assert problems(reading) == [(5, "missing_speaker"), (8, "missing_label")]


def test_rows_with_too_many_or_too_few_cells_are_named(read):
    rows = "a.wav,ang,A,yes, well\nb.wav,hap,B\nc.wav,neu,C,ok,,\n,,,\n\nd.wav,sad,D,x\n"
    reading = read(f"{HEAD},\n{rows}")
    assert "".join(u.id for u in reading.utterances) == "cd"
    assert problems(reading) == [(2, "bad_row"), (3, "bad_row")]
    assert "5 cells, and the header has 4" in reading.problems[0].what
    assert reading.rows == 4


@pytest.mark.parametrize("name", ["l.csv", "l.tsv", "l.txt"])
@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_by_the_header(read, name, sign):
    row = sign.join(("a.wav", "ang", "A", "Oh"))
    assert texts(read(f"{HEAD.replace(',', sign)}\n{row}\n", name)) == {"a": "Oh"}


def test_the_delimiter_may_be_named(read):
    text = "path;label;speaker,x;text\na.wav;ang;A;Oh, no\n"
    columns = {"speaker": "speaker,x"}
    assert texts(read(text, delimiter="semicolon", columns=columns)) == {"a": "Oh, no"}
    assert texts(read(text, delimiter=";", columns=columns)) == {"a": "Oh, no"}
    with pytest.raises(InputError, match="no column path, label"):
        read(text, delimiter="comma")
    with pytest.raises(InputError, match=r"data\.delimiter=colon: expected comma, semicolon, tab"):
        read(text, delimiter="colon")
    with pytest.raises(InputError, match=r"data\.delimiter=tab: .*l\.jsonl is no table of lines"):
        read("{}", "l.jsonl", delimiter="tab")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["l.csv", "l.txt"])
def test_a_mark_tells_the_encoding(read, encoding, name):
    text = f"{HEAD}\r\na.wav,ang,A,Tüten\r\n"
    assert texts(read(text, name, encoding)) == {"a": "Tüten"}


def test_signs_that_end_lines_elsewhere_do_not_here(read):
    text = "one\u2028two\x85three\x0bfour"
    assert texts(read(f"{HEAD}\na.wav,ang,A,{text}\nb.wav,,B,x\n"))["a"] == text
    line = json.dumps(
        {"path": "a.wav", "label": "x", "speaker": "A", "text": text}, ensure_ascii=False
    )
    assert texts(read(f"{line}\n", "l.jsonl"))["a"] == text


@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\r\n \t\r\n"])
def test_blank_lines(read, ending):
    line = json.dumps({"path": "a.wav", "label": "ang", "speaker": "A"})
    assert read(f"\n{line}{ending}", "l.jsonl").rows == 1
    assert read(f"\n{HEAD}\n\na.wav,ang,A,x{ending}").rows == 1


def test_a_line_that_is_no_object_costs_itself(read):
    good = {"path": "a.wav", "label": "ang", "speaker": "A"}
    twice = '{"path": "b.wav", "label": "ang", "label": "hap", "speaker": "B"}'
    lines = ["{", json.dumps(good), "[1]", twice, '"word"']
    reading = read("\n".join(lines), "l.jsonl")
    assert [u.id for u in reading.utterances] == ["a"]
    assert problems(reading) == [(line, "bad_row") for line in (1, 3, 4, 5)]
    assert "key label stands there twice" in reading.problems[2].what


@pytest.mark.parametrize("nothing", ["", "NaN", "nan", " nan ", "<NA>"])
def test_nan_is_an_empty_cell(read, nothing):
    head = f"{HEAD},group,start_s,end_s,gender,act,id"
    (a,) = read(f"{head}\na.wav,ang,A{f',{nothing}' * 7}\n").utterances
    assert (a.id, a.transcript, a.group, a.start_s, a.end_s, a.gender, a.act) == ("a", *[None] * 6)
    row = read(f"{head}\na.wav,{nothing},A,,,,,,,\nb.wav,ang,{nothing},,,,,,,\n").problems
    assert [p.kind for p in row] == ["missing_label", "missing_speaker"]


def test_nan_of_json_is_an_empty_cell(read):
    line = '{"path": "a.wav", "label": "ang", "speaker": "A", "text": null, "end_s": NaN}\n'
    (a,) = read(line, "l.jsonl").utterances
    assert (a.end_s, a.transcript) == (None, None)


def test_a_column_that_stands_twice(read):
    with pytest.raises(InputError, match=r"column label stands there 2 times \(columns 2, 5\)"):
        read("path,label,speaker,x,label\na.wav,ang,A,1,hap\n")
    assert read("path,label,speaker,x,x\na.wav,ang,A,1,2\n").rows == 1
    with pytest.raises(InputError, match="column emotion stands there 2 times"):
        read("path,emotion,speaker,emotion\n", columns={"label": "emotion"})


def test_blanks_around_cells(read):
    reading = read('path, label, speaker, text\na.wav, ang, A, "Oh, no"\nb.wav ,hap ,B ,x\n')
    assert [(u.id, u.label, u.speaker) for u in reading.utterances] == [
        ("a", "ang", "A"),
        ("b", "hap", "B"),
    ]
    assert texts(reading)["a"] == "Oh, no"


def test_labels_match_whatever_their_case(read):
    rows = "a.wav,HAP,A,x\nb.wav,hap ,B,x\nc.wav,Joyfull,C,x\nd.wav,meh,D,x\ne.wav,joyfull,E,x\n"
    reading = read(f"{HEAD}\n{rows}", labels={"hap": "hap", "joyful": "hap", "angry": "ang"})
    assert [u.label for u in reading.utterances] == ["hap", "hap", None, None, None]
    found = {p.kind: p.what for p in reading.problems}
    assert "(near: joyful)" in found["unknown_label:Joyfull"]
    assert "(known: hap, joyful, angry)" in found["unknown_label:meh"]
    assert len(reading.problems) == 3
    assert all(p.kept for p in reading.problems)


def test_a_case_that_tells_labels_apart_counts(read):
    reading = read(f"{HEAD}\na.wav,A,A,x\nb.wav,a,B,x\n", labels={"A": "ang", "a": "fea"})
    assert [u.label for u in reading.utterances] == ["ang", "fea"]


def test_a_map_of_numbers(read):
    reading = read(f"{HEAD}\na.wav,1,A,x\nb.wav,2,B,x\n", labels={1: "ang", 2: "hap"})
    assert [u.label for u in reading.utterances] == ["ang", "hap"]


def test_codes_are_spelled_like_most_of_their_kind(read):
    rows = "a.wav,hap,A,x\nb.wav,HAP,B,x\nc.wav,hap ,C,x\nd.wav,SAD,D,x\n"
    reading = read(f"{HEAD}\n{rows}")
    assert [u.label for u in reading.utterances] == ["hap", "hap", "hap", "SAD"]
    assert problems(reading) == [(3, "label_spelling:HAP")]


def test_most_files_elsewhere_is_said_first_and_once(read, folder):
    (folder / "wav").mkdir()
    for name in NAMES:
        (folder / f"{name}.wav").rename(folder / "wav" / f"{name}.wav")
    rows = "".join(f"{name}.wav,ang,A,x\n" for name in NAMES)
    with pytest.raises(InputError, match=r"6 of 6 audio files .* give data\.root=.*/wav$"):
        read(f"{HEAD}\n{rows}")
    (folder / "a.wav").touch()
    reading = read(f"{HEAD}\n{rows}")
    assert [p.kind for p in reading.problems] == ["misplaced_files"] + ["missing_wav"] * 5
    assert "5 of 6 audio files are not there" in reading.problems[0].what


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        (r"wav\x.wav", r"written with / for \\ they are there"),
        ("wav/x", "with .wav at their ends they are there"),
        ("/old/disk/wav/x.wav", "without /old/disk at their start they are there"),
        ("nowhere.wav", "relative paths start at data.root="),
    ],
)
def test_paths_that_nearly_fit(read, folder, path, advice):
    (folder / "wav").mkdir()
    (folder / "wav" / "x.wav").touch()
    with pytest.raises(InputError, match=advice):
        read(f"{HEAD}\n{path},ang,A,x\n", root=folder)


def test_a_name_that_cannot_be_one_is_a_bad_row(read):
    rows = f"{'x' * 300}.wav,ang,A,x\na.wav,ang,A,x\nb.wav/no.wav,ang,A,x\nb.wav,ang,A,x\n"
    reading = read(f"{HEAD}\n{rows}")
    assert problems(reading) == [(2, "missing_wav"), (4, "missing_wav")]
    line = json.dumps({"path": "a\0.wav", "label": "x", "speaker": "A"})
    with pytest.raises(InputError, match="1 of 1 audio files are not there"):
        read(line, "l.jsonl")


def test_a_home_in_a_path(read, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    (a,) = read(f"{HEAD}\n~/a.wav,ang,A,x\n", root=folder.parent).utterances
    assert a.path == folder / "a.wav"
