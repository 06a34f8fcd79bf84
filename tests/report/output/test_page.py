import html
import re

import polars as pl
import pytest

from sermm.core.errors import InputError
from sermm.report.output.page import write
from sermm.report.output.text import inserted, main_tables, markdown, table_text
from sermm.report.tables.grids import grids, percent
from sermm.report.tables.tables import MAX_FIGURES, build, summary

ZHAO = {
    "source": "Zhao 2022",
    "metric": "ua",
    "value": 75.8,
    "protocol": "loso4_rand10",
    "note": "",
    "setup": {"runs": 1},
}


def cells(text):
    """The numbers of each table row of a page, by the row's name."""
    found = {}
    for row in re.findall(r"<tr.*?</tr>", text, re.DOTALL):
        name = re.search(r'scope="row">(.*?)</th>', row)
        if name:
            numbers = re.findall(r"\d+\.\d", " ".join(re.findall(r"<td.*?>(.*?)</td>", row)))
            found.setdefault(html.unescape(name[1]), []).extend(numbers)
    return found


def written(study):
    write(build(study), study / "report")
    return study / "report"


def test_every_number_of_the_csv_is_in_the_page_and_in_markdown(study):
    folder = written(study)
    page = cells((folder / "index.html").read_text())
    tables = (folder / "tables.md").read_text()
    for record in pl.read_csv(folder / "results.csv").iter_rows(named=True):
        name = record["model"] + (" (floor)" if record["floor"] else "")
        lines = " ".join(line for line in tables.splitlines() if line.startswith(f"| {name} |"))
        scores = {k: v for k, v in record.items() if isinstance(v, float)}
        assert len(scores) >= 14
        for column, value in scores.items():
            assert percent(value) in page[name], column
            assert percent(value) in re.findall(r"\d+\.\d", lines), column


def test_csv_keeps_full_precision(study):
    folder = written(study)
    read = pl.read_csv(folder / "results.csv").to_dicts()
    for got, expected in zip(read, summary(build(study)), strict=True):
        assert got["ua_pooled"] == expected["ua_pooled"]
        assert got["ua_sd"] == expected["ua_sd"]


def test_one_figure_a_system_and_none_left_over(study):
    folder = study / "report"
    folder.mkdir()
    (folder / "confusion-old.png").write_bytes(b"")
    written(study)
    pictures = sorted(p.name for p in folder.glob("*.png"))
    assert len(pictures) == 4
    assert all((folder / p).read_bytes().startswith(b"\x89PNG") for p in pictures)
    page = (folder / "index.html").read_text()
    assert all(f'src="{p}" alt="Confusion matrix of' in page for p in pictures)


def test_many_systems_show_the_best_pictures_only(tmp_path, system, monkeypatch):
    monkeypatch.setattr("sermm.report.tables.tables.MAX_FIGURES", 2)
    assert MAX_FIGURES == 24
    for name in ("a", "b", "c"):
        system(tmp_path, name, [[[1, 0], [0, 1]]], n_folds=1)
    folder = written(tmp_path)
    assert len(list(folder.glob("*.png"))) == 2
    assert "The first 2 of 3 rows are shown" in (folder / "index.html").read_text()


def test_the_page_escapes_what_it_is_given(study, system):
    system(study, "late_fusion", [[[1, 1], [1, 1]]] * 5, system="evil",
           settings={"model": "late_fusion", "text": "<script>alert('x|y')</script>"},
           notes=["<b>bold</b>"])  # fmt: skip
    folder = written(study)
    page = (folder / "index.html").read_text()
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    line = next(r for r in (folder / "tables.md").read_text().splitlines() if "script>" in r)
    assert "\\<script>alert('x\\|y')" in line


def test_stamps_missing_runs_and_notes_are_in_all_outputs(study, system):
    system(study, "mmer", [[[2, 0], [0, 2]]] * 4, selection="test", leaky=True,
           protocol="random4_leaky", protocol_notes="Utterances dealt at random.",
           notes=["encoder trained on emotion"])  # fmt: skip
    report = build(study)
    write(report, study / "report")
    page = html.unescape((study / "report" / "index.html").read_text())
    for text in (page, markdown(report), table_text(report)):
        assert "LEAKY PROTOCOL" in text
        assert "EPOCH CHOSEN ON THE TEST FOLD: mmer" in text
        assert "mmer on iemocap, random4_leaky, seed 1: no finished run for fold 5 of 5" in text
        assert "UA (unweighted accuracy) = mean over the classes of recall" in text
        assert "4 of 5" in text
    for text in (page, markdown(report)):
        assert "mmer: encoder trained on emotion" in text
        assert "Utterances dealt at random." in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "75.8 UA, Zhao 2022, loso4_rand10: not compared (protocol loso4, the paper's "
         "loso4_rand10)"),
        ({"protocol": "unknown"}, "75.8 UA, Zhao 2022, unknown: not compared (the paper's protocol "
         "is not known)"),
        ({"protocol": "loso4", "setup": None}, "75.8 UA, Zhao 2022, loso4: not compared (what the "
         "paper's system was run with is not declared)"),
        ({"protocol": "loso4", "setup": {"runs": 25}}, "75.8 UA, Zhao 2022, loso4: not compared "
         "(5 runs, the paper's 25)"),
        ({"protocol": "loso4", "value": 99.9}, "99.9 UA, Zhao 2022, loso4: above our interval"),
        ({"protocol": "loso4", "value": 20.0}, "20.0 UA, Zhao 2022, loso4: below our interval"),
        ({"protocol": "loso4", "value": 80.0, "metric": "wa", "note": "mean of 25 runs"},
         "80.0 WA, Zhao 2022, loso4: within our interval (mean of 25 runs)"),
    ],
)  # fmt: skip
def test_the_papers_figure_beside_ours(tmp_path, system, changes, says):
    confusions = [[[1, 1], [0, 2]]] * 4 + [[[9, 1], [1, 3]]]
    system(tmp_path, "speech_only", confusions, published=[{**ZHAO, **changes}])
    system(tmp_path, "majority", confusions)
    (table,) = build(tmp_path).tables
    main = grids(table)[0]
    assert main.header[-1] == "paper"
    assert [row[-1] for row in main.rows] == [says, "–"]


def test_a_figure_on_another_corpus_is_not_put_beside_ours(tmp_path, system):
    figure = {**ZHAO, "protocol": "loso4", "data": "meld"}
    system(tmp_path, "speech_only", [[[1, 1], [0, 2]]] * 5, published=[figure])
    (table,) = build(tmp_path).tables
    assert "paper" not in grids(table)[0].header


def test_main_tables_are_put_between_the_marks_of_a_page(study):
    report = build(study)
    page = f"before <!-- sermm report {report.study} -->\nold\n<!-- end --> after"
    found = inserted(page, report)
    assert "old" not in found
    assert found.startswith("before ")
    assert found.endswith("<!-- end --> after")
    assert main_tables(report) in found
    assert inserted(found, report) == found
    with pytest.raises(InputError, match="no lines <!-- sermm report"):
        inserted("no marks", report)


def test_terminal_table_is_aligned(study):
    lines = table_text(build(study)).splitlines()
    start = lines.index("iemocap, protocol loso4") + 1
    table = lines[start : start + 5]
    assert len({len(line) for line in table}) == 1
    assert table[1].startswith("late_fusion")
    assert "97.5 ± 5.6" in table[1]


def test_missing_values_are_dashes(tmp_path, system):
    system(
        tmp_path, "speech_only", [[[1, 1], [0, 2]]], n_folds=1, seconds={}, epochs={"best": None}
    )
    assert "75.0 ± –" in table_text(build(tmp_path))
    assert len(list(written(tmp_path).iterdir())) == 4


def test_main_cells_by_hand(study):
    main = grids(build(study).tables[0])[0]
    assert main.header[1:6] == ("runs", "UA mean ± sd", "UA pooled", "WA mean ± sd", "WA pooled")
    assert main.header[7:] == ("macro F1 mean", "weighted F1 mean")
    speech = main.rows[1]
    assert speech[:6] == ("speech_only", "5", "76.5 ± 3.4", "81.9", "77.1 ± 4.8", "80.0")
    assert speech[7:] == ("75.2", "75.8")
    assert main.floors == 2


def test_groups_are_in_natural_order(tmp_path, system):
    system(tmp_path, "speech_only", [[[1, 1], [0, 2]]] * 11, n_folds=11)
    by_group = next(g for g in grids(build(tmp_path).tables[0]) if g.title == "By group")
    assert by_group.header[1:3] == ("1 (n = 4)", "2 (n = 4)")
    assert by_group.header[-1] == "11 (n = 4)"
    assert by_group.rows[0][1] == "75.0 / 75.0"
