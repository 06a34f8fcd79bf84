import json

import pytest

from sermm.report.output.page import write
from sermm.report.output.text import inserted, main_tables, markdown, table_text
from sermm.report.tables.tables import as_json, build, summary
from sermm.runs.reading.papers import PaperTable, merged
from sermm.runs.reading.runs import read_study

# UA by fold 0.75, 0.75, 0.75, 0.75, 0.825 and 1, 1, 1, 1, 0.875, as in conftest
SPEECH = [[[1, 1], [0, 2]]] * 4 + [[[9, 1], [1, 3]]]
FUSION = [[[2, 0], [0, 2]]] * 4 + [[[10, 0], [1, 3]]]


def test_seeds_sd_is_in_the_rows_and_before_what_was_run_in_the_csv(tmp_path, two_seeds):
    two_seeds("co F")
    (row,) = build(tmp_path).tables[0].rows
    assert row.seed_sd["ua"] == pytest.approx(0.125 / 2**0.5)
    (record,) = summary(build(tmp_path))
    assert list(record)[-8:] == [
        "ua_seed_sd", "wa_seed_sd", "encoders", "features", "recipe", "parameters_trained",
        "parameters_head", "parameters",
    ]  # fmt: skip
    assert record["ua_seed_sd"] == row.seed_sd["ua"]


def test_one_seed_has_no_sd_of_seeds(study):
    report = build(study)
    assert {row.seed_sd for row in report.tables[0].rows} == {None}
    assert {record["ua_seed_sd"] for record in summary(report)} == {None}


def test_a_seed_that_lacks_a_fold_counts_by_the_folds_it_has(tmp_path, a_run, two_seeds):
    two_seeds("co F")
    a_run(tmp_path, "co", [[4, 0], [0, 4]], system="co F", variant="co F", seed=3, n_folds=2)
    (table,) = build(tmp_path).tables
    # means of the seeds: 0.875, 0.75 and 1; around 0.875: two deviations of 0.125
    assert table.rows[0].seed_sd["ua"] == pytest.approx((2 * 0.125**2 / 2) ** 0.5)


def test_cells_that_runs_do_not_agree_on_are_said(paper, cells):
    one, other = paper(cells[0]), paper({**cells[0], "value": 74.0}, note="later")
    (table,) = merged([PaperTable.of(one), PaperTable.of(other)])
    assert table.cells[0].value == 74.28
    assert table.cells[0].note == "other runs of this study have 74.00 for it"
    assert table.note == "frozen encoders; later"


def test_a_system_that_only_later_runs_know_is_taken(paper, cells):
    one, other = paper({**cells[0], "system": None}), paper(cells[0])
    (table,) = merged([PaperTable.of(one), PaperTable.of(other)])
    assert table.cells[0].system == "co F"


def test_tables_of_the_same_name_and_another_metric_stay_apart(paper):
    tables = merged([PaperTable.of(paper()), PaperTable.of(paper(metric="wa"))])
    assert [table.metric for table in tables] == ["ua", "wa"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"title": 2}, "a table of papers in result.json: title is 2, of the wrong type"),
        ({"metric": "accuracy"}, "Zhao 2022, Table 2 in result.json: metric is 'accuracy', not in"),
        ({"cells": []}, "Zhao 2022, Table 2 in result.json has no cells, or two of the same row"),
        ({"cells": ["F"]}, "a cell of Zhao 2022, Table 2 in result.json holds a str"),
        ({"cells": [{"row": "F"}]}, "a cell of Zhao 2022, Table 2 in result.json has no column"),
        (
            {"cells": [{"row": "F", "column": "UA", "system": None, "value": "74 %"}]},
            "value is '74 %', of the wrong type",
        ),
    ],
)
def test_a_damaged_table_makes_its_run_unreadable(tmp_path, variant, paper, changes, says):
    variant("co F", SPEECH)
    folder = variant("late F", FUSION, papers=[paper(**changes)])[0]
    problem = read_study(tmp_path).problems[0]
    assert problem.kind == "unreadable"
    assert folder.name in problem.where
    assert says in problem.what
    assert not build(tmp_path).complete


def test_a_cell_that_is_there_twice_is_refused(paper, cells):
    with pytest.raises(ValueError, match="has no cells, or two of the same row and column"):
        PaperTable.of(paper(cells[0], {**cells[0], "value": 1.0}))


def test_a_table_is_an_object_with_all_fields():
    with pytest.raises(ValueError, match="holds a list, expected an object"):
        PaperTable.of([])
    with pytest.raises(ValueError, match="has no title, metric, protocol, data, note, cells"):
        PaperTable.of({"source": "Zhao 2022"})


def test_a_table_that_many_runs_bring_is_held_once(tmp_path, variant):
    variant("co F", SPEECH)
    variant("late F", FUSION)
    variant("majority", SPEECH, papers=[])
    runs = read_study(tmp_path).runs
    assert len(runs) == 15
    assert len({id(run.result.papers) for run in runs}) == 2


def test_json_has_fractions_and_names_our_rows(tmp_path, paper, cells, two_seeds):
    two_seeds("co F", papers=[paper(cells[0]), paper(*cells[3:], title="Table 3")])
    found = json.loads(json.dumps(as_json(build(tmp_path))))
    first, second, third = found["tables"][0]["papers"]
    assert first.pop("run_otherwise") == []
    assert first == pytest.approx({
        "source": "Zhao 2022", "title": "Table 2", "metric": "ua", "data": "iemocap",
        "protocol": "loso4", "row": "F", "column": "Coattention", "system": "co F",
        "model": "co", "paper": 0.7428, "ours_mean": 0.8125, "ours_sd": (0.078125 / 3) ** 0.5,
        "seed_sd": 0.125 / 2**0.5, "n_runs": 4, "difference": 0.8125 - 0.7428,
    })  # fmt: skip
    assert first["model"] == found["rows"][0]["model"]
    assert (second["system"], second["n_runs"]) == ("late F+P", 0)
    assert second["paper"] == pytest.approx(0.7515)
    ours = ["model", "ours_mean", "ours_sd", "seed_sd", "difference"]
    assert [third[name] for name in ours] == [None] * 5
    assert third["system"] is None


def test_papers_come_first_everywhere_and_the_main_table_follows(tmp_path, variant):
    variant("co F", SPEECH)
    variant("late F", FUSION)
    report = build(tmp_path)
    write(report, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    ends = f"<!-- sermm report {report.study} -->\n<!-- end -->"
    texts = [page, markdown(report), table_text(report), inserted(ends, report)]
    assert markdown(report) == (tmp_path / "report" / "tables.md").read_text()
    for text in texts:
        places = [text.index(part) for part in ("Zhao 2022, Table 2", "98.00", "UA mean ± sd")]
        assert places == sorted(places)
        assert "5 runs each: 5 folds x 1 seed." in text
        assert "best of five" in text
        assert "frozen encoders" in text


def test_markdown_and_terminal_name_the_papers_columns_in_one_line(tmp_path, variant):
    variant("co F", SPEECH)
    report = build(tmp_path)
    lines = table_text(report).splitlines()
    start = lines.index("Zhao 2022, Table 2") + 1
    assert len({len(line) for line in lines[start : start + 4]}) == 1
    said = "row Coattention: ours paper difference Late Fusion: ours paper difference"
    assert " ".join(lines[start].split()) == said
    assert (
        "| row | Coattention: ours | paper | difference | Late Fusion: ours | paper | difference |"
        in main_tables(report)
    )
    assert "| F | 76.50 ± 3.35 | 74.28 | +2.22 | – | \\[1] 98.00 | – |" in main_tables(report)


def test_markdown_and_page_escape_what_papers_say(tmp_path, variant, paper):
    nasty = {
        "row": "<b>F|P</b>", "column": "a*b", "system": "co F", "value": 74.0,
        "note": "see `x` <i>",
    }  # fmt: skip
    told = paper(nasty, source="Z|hao", title="<u>1</u>", note="*bold*")
    variant("co F", SPEECH, papers=[told])
    report = build(tmp_path)
    text = markdown(report)
    assert "### Z\\|hao, \\<u>1\\</u>" in text
    assert "| row | a\\*b: ours | paper | difference |" in text
    assert "| \\<b>F\\|P\\</b> | 76.50 ± 3.35 | \\[1] 74.00 | +2.50 |" in text
    assert "- \\[1] see \\`x\\` \\<i>" in text
    assert "- \\*bold\\*" in text
    write(report, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert not any(tag in page for tag in ("<b>", "<i>", "<u>"))


def test_the_page_spans_each_column_of_the_paper_and_scrolls(tmp_path, variant):
    variant("co F", SPEECH)
    write(build(tmp_path), tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    table = page[page.index('<table class="grouped">') : page.index("</table>")]
    assert table.count('<colgroup span="3">') == 2
    assert '<th scope="colgroup" colspan="3">Coattention</th>' in table
    assert '<th scope="col" rowspan="2">row</th>' in table
    assert table.count('<th scope="col">') == 6
    assert table.count("<td>") == 3 * 6
    before = page[: page.index('<table class="grouped">')].rstrip()
    assert before.endswith('aria-label="Zhao 2022, Table 2, iemocap, protocol loso4">')
    assert 'class="scroll"' in before.splitlines()[-1]
