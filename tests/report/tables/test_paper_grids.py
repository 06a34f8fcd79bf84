import pytest

from sermm.report.tables.comparisons import cell_records
from sermm.report.tables.grids import grids
from sermm.report.tables.paper_grids import paper_grids
from sermm.report.tables.tables import build

# UA by fold 0.75, 0.75, 0.75, 0.75, 0.825 and 1, 1, 1, 1, 0.875, as in conftest
SPEECH = [[[1, 1], [0, 2]]] * 4 + [[[9, 1], [1, 3]]]
FUSION = [[[2, 0], [0, 2]]] * 4 + [[[10, 0], [1, 3]]]


def cell(column, value):
    return {"row": "F", "column": column, "system": "co F", "value": value}


def only_grid(study):
    (table,) = build(study).tables
    (grid,) = paper_grids(table)
    return grid


def test_the_papers_layout_with_ours_beside_every_figure(tmp_path, variant):
    variant("late F+P", FUSION)
    variant("co F", SPEECH)
    variant("late F", FUSION)
    variant("co F+P", SPEECH)
    grid = only_grid(tmp_path)
    assert grid.title == "Zhao 2022, Table 2"
    assert grid.groups == ("Coattention", "Late Fusion")
    assert grid.header == ("row", *(("ours", "paper", "difference") * 2))
    assert grid.rows == (
        ("F", "76.50 ± 3.35", "74.28", "+2.22", "97.50 ± 5.59", "[1] 98.00", "-0.50"),
        ("F+P", "76.50 ± 3.35", "74.57", "+1.93", "97.50 ± 5.59", "75.15", "+22.35"),
        ("Others 2020", "", "", "", "–", "[2] 70.08", "–"),
    )
    assert grid.note == (
        "UA in percent; ours: mean ± sample sd over the runs. 5 runs each: 5 folds x 1 seed."
    )
    assert grid.footnotes == (
        "frozen encoders",
        "[1] best of five",
        "[2] another part of the corpus",
    )


def test_a_cell_without_runs_keeps_the_papers_figure(tmp_path, variant):
    variant("co F", SPEECH)
    rows = only_grid(tmp_path).rows
    assert rows[0][1:4] == ("76.50 ± 3.35", "74.28", "+2.22")
    assert rows[1] == ("F+P", "–", "74.57", "–", "–", "75.15", "–")


def test_a_system_outside_the_paper_does_not_change_its_table(tmp_path, variant):
    variant("co F", SPEECH)
    before = only_grid(tmp_path)
    variant("majority", SPEECH, papers=[])
    assert only_grid(tmp_path) == before


def test_another_metric_of_the_same_runs(tmp_path, variant, paper):
    # WA by fold: 4 x 0.75 and 12 / 14: mean 0.77143
    variant("co F", SPEECH, papers=[paper(cell("WA", 77.0), metric="wa")])
    grid = only_grid(tmp_path)
    assert grid.rows == (("F", "77.14 ± 4.79", "77.00", "+0.14"),)
    assert grid.note.startswith("WA in percent")


def test_a_small_difference_has_no_negative_zero(tmp_path, variant, paper):
    variant("co F", SPEECH, papers=[paper(cell("UA", 76.501))])
    assert only_grid(tmp_path).rows[0][-1] == "+0.00"


def test_the_difference_is_that_of_the_numbers_as_shown(tmp_path, variant, paper):
    # UA 0.66625 is shown as 66.62; unrounded, the difference would be 0.055, shown as +0.06
    confusions = [[[266, 134], [133, 267]]]
    variant("co F", confusions, n_folds=1, papers=[paper(cell("UA", 66.57))])
    assert only_grid(tmp_path).rows == (("F", "66.62 ± –", "66.57", "+0.05"),)


def test_two_seeds_have_an_sd_of_their_means(tmp_path, paper, two_seeds):
    two_seeds("co F", papers=[paper(cell("UA", 80.0))])
    grid = only_grid(tmp_path)
    # sd over the runs: sqrt(0.078125 / 3); of the seeds' means: 0.125 / sqrt(2)
    assert grid.rows == (("F", "81.25 ± 16.14 / 8.84", "80.00", "+1.25"),)
    assert "4 runs each: 2 folds x 2 seeds." in grid.note
    assert "After the slash: sd of the seeds' means" in grid.note


def test_unlike_numbers_of_runs_stand_in_the_cells(tmp_path, variant, two_seeds):
    variant("co F", SPEECH)
    two_seeds("late F")
    grid = only_grid(tmp_path)
    assert grid.rows[0][1] == "76.50 ± 3.35 (n = 5)"
    assert grid.rows[0][4] == "81.25 ± 16.14 / 8.84 (n = 4)"
    assert "runs each" not in grid.note


def test_runs_that_are_no_full_grid_of_folds_and_seeds_are_only_counted(tmp_path, variant):
    # folds 1 to 3 of seed 1 and fold 1 of seed 2
    variant("co F", SPEECH[:3], seed=1)
    variant("co F", SPEECH[:1], seed=2)
    (table,) = build(tmp_path).tables
    (grid,) = paper_grids(table)
    assert "over the runs. 4 runs each. After" in grid.note


def test_one_run(tmp_path, variant):
    variant("co F", SPEECH[:1], n_folds=1)
    grid = only_grid(tmp_path)
    assert grid.rows[0][1] == "75.00 ± –"
    assert "1 run each: 1 fold x 1 seed." in grid.note


def test_several_systems_of_a_variant_have_a_row_each(tmp_path, variant):
    variant("co F", SPEECH, settings={"model": "co"})
    variant("co F", FUSION, system="x", settings={"model": "co", "lr": "1e-4"})
    variant("late F", FUSION, settings={"model": "late"})
    variant("co F+P", SPEECH, settings={"model": "co", "streams": "F+P"})
    rows = only_grid(tmp_path).rows
    assert rows[0] == ("F", "76.50 ± 3.35", "74.28", "+2.22", "97.50 ± 5.59", "[1] 98.00", "-0.50")
    assert rows[1] == ("F lr=1e-4", "97.50 ± 5.59", "74.28", "+23.22", "–", "[1] 98.00", "–")
    assert rows[2][:2] == ("F+P", "76.50 ± 3.35")
    assert len(rows) == 4


def test_settings_that_every_system_spells_out_leave_no_row_without_runs(tmp_path, variant):
    variant("co F", SPEECH, system="a", settings={"lr": "2"})
    variant("co F", SPEECH, system="b", settings={"lr": "1"})
    assert [row[0] for row in only_grid(tmp_path).rows] == [
        "F lr=1",
        "F lr=2",
        "F+P",
        "Others 2020",
    ]


def test_systems_of_the_same_settings_are_told_apart_by_their_digests(tmp_path, variant):
    variant("co F", SPEECH, system="aaaaaaaaaa")
    variant("co F", FUSION, system="bbbbbbbbbb")
    rows = only_grid(tmp_path).rows
    assert [row[:2] for row in rows[:2]] == [
        ("F [aaaaaaaa]", "76.50 ± 3.35"),
        ("F [bbbbbbbb]", "97.50 ± 5.59"),
    ]


def test_on_another_corpus_only_a_whole_table_is_shown(tmp_path, variant, cells):
    names = [cell["system"] for cell in cells if cell["system"]]
    for name in names[1:]:
        variant(name, SPEECH, data="demo")
    (table,) = build(tmp_path).tables
    assert paper_grids(table) == []
    variant(names[0], SPEECH, data="demo", experiment="zhao2022/table2_smoke")
    assert only_grid(tmp_path).title == "Zhao 2022, Table 2"


def test_on_another_corpus_nothing_is_shown_unless_it_is_asked_for(tmp_path, variant):
    variant("co F", SPEECH, data="demo", experiment="li2025/table1_smoke")
    assert paper_grids(build(tmp_path).tables[0]) == []
    (grid,) = paper_grids(build(tmp_path, papers=True).tables[0])
    assert grid.rows[0][1:4] == ("76.50 ± 3.35", "74.28", "–")


def test_on_another_corpus_only_the_layout_is_compared(tmp_path, variant, paper):
    about = {"experiment": "zhao2022/table2_smoke", "data": "demo"}
    variant("co F", SPEECH, papers=[paper(cell("Coattention", 74.28))], **about)
    grid = only_grid(tmp_path)
    assert grid.header[1:4] == ("ours", "paper (iemocap)", "difference")
    assert grid.rows[0][1:4] == ("76.50 ± 3.35", "74.28", "–")
    assert (
        "The paper's figures are of another corpus (iemocap, ours is demo): only the layout is "
        "compared." in grid.note
    )
    assert "protocol" not in grid.note


def test_another_protocol_is_said_and_no_difference_is_shown(tmp_path, variant, paper):
    variant("co F", SPEECH, papers=[paper(protocol="loso4_rand10")])
    grid = only_grid(tmp_path)
    assert "ours: loso4; the paper's: loso4_rand10: no difference is shown." in grid.note
    assert grid.rows[0][1:4] == ("76.50 ± 3.35", "74.28", "–")


def test_each_corpus_and_protocol_has_the_grid_of_its_own_runs(tmp_path, variant):
    variant("co F", SPEECH)
    variant("co F", FUSION, protocol="loso4_rand10", system="other")
    tables = build(tmp_path).tables
    assert [paper_grids(table)[0].rows[0][1] for table in tables] == [
        "76.50 ± 3.35",
        "97.50 ± 5.59",
    ]


def test_tables_of_two_runs_are_merged_by_name_and_sorted_by_title(tmp_path, cells, variant, paper):
    variant("co F", SPEECH, papers=[paper(title="Table 10"), paper(*cells[:2])])
    variant("late F", FUSION, papers=[paper(*cells[1:3]), paper(title="Table 3")])
    (table,) = build(tmp_path).tables
    found = paper_grids(table)
    assert [grid.title[11:] for grid in found] == ["Table 2", "Table 3", "Table 10"]
    assert [row[0] for row in found[0].rows] == ["F", "F+P"]
    assert found[0].rows[0][1] == "76.50 ± 3.35"
    assert found[0].rows[0][4] == "97.50 ± 5.59"
    assert found[0].rows[1] == ("F+P", "–", "74.57", "–", "", "", "")


def test_equal_figures_are_shown_equal(tmp_path, variant, paper):
    # UA is the mean of 0.55, 0.58, 0.84 and 0.94, WA 291 of 400: 72.75, as floats 72.74999999999999
    confusion = [[[55, 45, 0, 0], [42, 58, 0, 0], [0, 0, 84, 16], [0, 0, 6, 94]]]
    variant("co F", confusion, n_folds=1, classes=["a", "b", "c", "d"])
    table = build(tmp_path).tables[0]
    cells = grids(table)[0].rows[0]
    assert cells[2:6] == ("72.8 ± –", "72.8", "72.8 ± –", "72.8")


GAIN = (
    {"row": "plain", "column": "UA", "system": "plain", "value": None},
    {"row": "Gain", "column": "UA", "system": "better", "minus": "plain", "value": 4.2},
)


def test_a_gain_is_the_difference_of_two_systems_over_the_same_runs(tmp_path, variant, paper):
    gain = {"papers": [paper(*GAIN)]}
    variant("plain", SPEECH, **gain)
    variant("better", FUSION, **gain)
    # What the paper speaks of and does not print has ours alone.
    assert only_grid(tmp_path).rows == (
        ("plain", "76.50 ± 3.35", "–", "–"),
        ("Gain", "21.00", "4.20", "+16.80"),
    )
    plain, found = cell_records(build(tmp_path).tables[0].papers[0])
    assert plain["paper"] is plain["difference"] is None
    assert (found["minus"], found["paper"]) == ("plain", pytest.approx(0.042))
    assert found["ours_mean"] == pytest.approx(0.21)


@pytest.mark.parametrize("confusions", [None, SPEECH[:4]])
def test_there_is_no_gain_over_what_was_not_run_on_the_same_folds(
    confusions, tmp_path, variant, paper
):
    gain = {"papers": [paper(*GAIN)]}
    variant("better", FUSION, **gain)
    if confusions:
        variant("plain", confusions, **gain)
    assert only_grid(tmp_path).rows[1][1:] == ("–", "4.20", "–")
