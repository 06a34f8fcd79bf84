"""A leaky protocol of a paper beside its honest twin."""

import json

import pytest

from sermm.report.output.page import write
from sermm.report.output.text import main_tables, markdown, table_text
from sermm.report.tables.paper_grids import paper_grids
from sermm.report.tables.tables import as_json, build

# UA 0.75, 1 and 0.5
SOME, ALL, HALF = [[1, 1], [0, 2]], [[2, 0], [0, 2]], [[1, 1], [1, 1]]
LEAKY = {"protocol": "rand_leaky", "leaky": True, "protocol_notes": "A random split."}


@pytest.fixture
def twin(paper, cells):
    """A table of two cells and one without a system, with an honest twin."""

    def made(*some, **changes):
        given = {"protocol": "rand_leaky", "twin": "loso4", **changes}
        return paper(*(some or (cells[0], cells[2], cells[4])), **given)

    return made


@pytest.fixture
def ran(variant, twin):
    """Writes runs under the leaky protocol (one fold) or the honest one (two folds)."""

    def wrote(name, *confusions, leaky=False, **changes):
        given = {"papers": [twin()], "system": f"{name} {leaky}", "n_folds": len(confusions)}
        return variant(name, list(confusions), **{**given, **(LEAKY if leaky else {}), **changes})

    return wrote


def by_protocol(study):
    return {table.protocol: paper_grids(table) for table in build(study).tables}


def test_ours_under_both_protocols_stand_side_by_side(tmp_path, ran):
    ran("co F", SOME, leaky=True)
    ran("co F+P", SOME, leaky=True)
    ran("co F", ALL, HALF)
    grids = by_protocol(tmp_path)
    assert grids["loso4"] == []
    (grid,) = grids["rand_leaky"]
    columns = ("ours, rand_leaky", "paper", "difference", "ours, loso4")
    assert grid.header == ("row", *columns * 2)
    # UA 1 and 0.5 under loso4: mean 0.75, sd 0.35355
    assert grid.rows == (
        ("F", "75.00 ± –", "74.28", "+0.72", "75.00 ± 35.36", "", "", "", ""),
        ("F+P", "75.00 ± –", "74.57", "+0.43", "–", "", "", "", ""),
        ("Others 2020", "", "", "", "", "–", "[1] 70.08", "–", "–"),
    )


def test_the_leak_is_said_in_words(tmp_path, ran):
    ran("co F", SOME, leaky=True)
    ran("co F", ALL, HALF)
    (grid,) = by_protocol(tmp_path)["rand_leaky"]
    assert grid.note == (
        "UA in percent; ours: mean ± sample sd over the runs. "
        "rand_leaky: 1 run each: 1 fold x 1 seed. loso4: 2 runs each: 2 folds x 1 seed. "
        "rand_leaky, the paper's protocol, is LEAKY: the same talkers, dialogues and scripted "
        "lines are in training and test. loso4 is its honest twin: Leave one session out."
    )


def test_numbers_of_runs_are_told_for_each_protocol(tmp_path, ran):
    ran("co F", SOME, leaky=True)
    ran("co F+P", SOME, leaky=True)
    ran("co F", ALL, HALF)
    ran("co F+P", ALL)
    (grid,) = by_protocol(tmp_path)["rand_leaky"]
    assert [row[1] for row in grid.rows[:2]] == ["75.00 ± –", "75.00 ± –"]
    assert [row[4] for row in grid.rows[:2]] == ["75.00 ± 35.36 (n = 2)", "100.00 ± – (n = 1)"]
    assert "loso4: 2 runs" not in grid.note


def test_the_twin_is_the_system_with_the_same_settings(tmp_path, ran):
    for leaky, wide, narrow in ((True, SOME, ALL), (False, HALF, SOME)):
        ran("co F", wide, leaky=leaky, system=f"a{leaky}", settings={"width": "2"})
        ran("co F", narrow, leaky=leaky, system=f"b{leaky}", settings={"width": "1"})
    ran("co F", ALL, system="c", settings={"width": "3"})
    (grid,) = by_protocol(tmp_path)["rand_leaky"]
    assert [row[:5] for row in grid.rows[:3]] == [
        ("F width=1", "100.00 ± –", "74.28", "+25.72", "75.00 ± –"),
        ("F width=2", "75.00 ± –", "74.28", "+0.72", "50.00 ± –"),
        ("F width=3", "–", "74.28", "–", "100.00 ± –"),
    ]


def test_two_twins_of_the_same_settings_are_nobodys(tmp_path, ran):
    ran("co F", SOME, leaky=True, system="aaaaaaaaaa")
    ran("co F", ALL, system="bbbbbbbbbb")
    ran("co F", HALF, system="cccccccccc")
    (grid,) = by_protocol(tmp_path)["rand_leaky"]
    assert [row[:5] for row in grid.rows[:3]] == [
        ("F [aaaaaaaa]", "75.00 ± –", "74.28", "+0.72", "–"),
        ("F [bbbbbbbb]", "–", "74.28", "–", "100.00 ± –"),
        ("F [cccccccc]", "–", "74.28", "–", "50.00 ± –"),
    ]


def test_with_one_protocol_alone_there_are_three_columns(tmp_path, ran):
    ran("co F", ALL, HALF)
    (grid,) = by_protocol(tmp_path)["loso4"]
    assert grid.header[1:4] == ("ours", "paper", "difference")
    assert "Two protocols, ours: loso4; the paper's: rand_leaky: no difference" in grid.note


def test_a_leaky_protocol_without_its_twin_says_so(tmp_path, ran):
    ran("co F", SOME, leaky=True)
    (grid,) = by_protocol(tmp_path)["rand_leaky"]
    assert grid.header[1:4] == ("ours", "paper", "difference")
    assert grid.note.endswith("loso4, its honest twin, has no runs here.")


def test_under_a_third_protocol_the_table_is_not_shown(tmp_path, ran):
    ran("co F", SOME, leaky=True)
    ran("co F", ALL, protocol="loso4_rand10", system="x")
    grids = by_protocol(tmp_path)
    assert len(grids["rand_leaky"]) == 1
    assert grids["loso4_rand10"] == []


def test_other_classes_are_no_twin(tmp_path, ran):
    ran("co F", SOME, leaky=True)
    three = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    ran("co F", three, classes=["ang", "hap", "sad"])
    grids = by_protocol(tmp_path)
    assert "has no runs here" in grids["rand_leaky"][0].note
    assert len(grids["loso4"]) == 1


def test_on_another_corpus_the_twin_shows_what_the_leaky_side_does_not(tmp_path, ran):
    """The leaky side lacks a system, so its table is not shown there."""
    about = {"data": "demo", "experiment": "zhao2022/table2_smoke"}
    ran("co F", SOME, leaky=True, **about)
    for name in ("co F", "co F+P"):
        ran(name, ALL, **about)
    grids = by_protocol(tmp_path)
    assert grids["rand_leaky"] == []
    assert len(grids["loso4"]) == 1
    ran("co F+P", SOME, leaky=True, **about)
    grids = by_protocol(tmp_path)
    assert grids["loso4"] == []
    assert grids["rand_leaky"][0].header[1:5] == (
        "ours, rand_leaky", "paper (iemocap)", "difference", "ours, loso4",
    )  # fmt: skip


def test_parameters_do_not_depend_on_the_protocol(tmp_path, ran, twin):
    size = {"row": "F", "column": "M", "system": "co F", "value": 1.0, "metric": "parameters"}
    score = {"row": "F", "column": "UA", "system": "co F", "value": 74.0}
    ran("co F", SOME, leaky=True, papers=[twin(score, size), twin(size, title="Table 3")])
    ran("co F", ALL, papers=[])
    both, sizes = by_protocol(tmp_path)["rand_leaky"]
    assert both.header[5:] == ("ours", "paper", "difference")
    assert both.rows[0][5:] == ("0.00", "1.00", "-1.00")
    assert sizes.header == ("row", "ours", "paper", "difference")
    assert "LEAKY" not in sizes.note


def test_json_has_the_twin_where_there_is_one(tmp_path, ran):
    ran("co F", SOME, leaky=True)
    ran("co F", ALL, HALF)
    tables = json.loads(json.dumps(as_json(build(tmp_path))))["tables"]
    honest, leaky = ({r["row"]: r for r in table["papers"]} for table in tables)
    assert honest == {}
    assert (leaky["F"]["twin"], leaky["F"]["twin_n_runs"]) == ("loso4", 2)
    assert leaky["F"]["twin_mean"] == 0.75
    assert leaky["F"]["twin_sd"] == pytest.approx(0.125**0.5)
    assert (leaky["F+P"]["twin_mean"], leaky["F+P"]["twin_n_runs"]) == (None, 0)


def test_page_markdown_and_terminal_show_both(tmp_path, ran):
    ran("co F", SOME, leaky=True)
    ran("co F", ALL, HALF)
    report = build(tmp_path)
    write(report, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert '<th scope="colgroup" colspan="4">Coattention</th>' in page
    for text in (page, markdown(report), table_text(report), main_tables(report)):
        assert "ours, loso4" in text
        assert text.count("74.28") == 1
        assert "is LEAKY: the same talkers, dialogues and scripted lines" in text


def test_what_is_too_wide_goes_below_in_the_terminal_and_across_on_paper(tmp_path, ran, twin):
    cells = [
        {"row": "F", "column": f"Figure {n}", "system": "co F", "value": 70.0 + n} for n in range(5)
    ]
    ran("co F", SOME, leaky=True, papers=[twin(*cells)])
    ran("co F", ALL, HALF)
    report = build(tmp_path)
    lines = table_text(report).splitlines()
    heads = [line for line in lines if line.startswith("row ")]
    assert len(heads) > 1
    assert max(map(len, heads)) <= 140
    assert [line.count("Figure") for line in heads] == [2, 2, 1]
    assert sum(line.startswith("F ") for line in lines) == 3
    (grid,) = paper_grids(report.tables[1])
    assert grid.wide
    write(report, tmp_path / "report")
    assert '<div class="wide">\n<h3>Zhao' in (tmp_path / "report" / "index.html").read_text()
