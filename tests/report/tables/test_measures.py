import numpy as np
import pytest

from sermm.report.tables.grids import grids
from sermm.report.tables.measures import PAPER_METRICS, pair_f1
from sermm.report.tables.paper_grids import paper_grids
from sermm.report.tables.tables import as_json, build
from sermm.runs.reading.papers import FIGURES, PaperTable
from sermm.runs.reading.runs import read_study

# of ang, exc, hap: exc has 4 examples, 3 predictions, 2 right; hap 5, 6 and 4
THREE = [[[3, 0, 1], [1, 2, 1], [0, 1, 4]]]
CLASSES = ["ang", "exc", "hap"]
COST = {
    "ms_per_sample": 12.25, "utterances": 20, "device": "GPU A", "threads": 2,
    "precision": "bf16-mixed", "peak_memory_gb": 1.5, "features": "finetune",
}  # fmt: skip


def cell(metric, value, row="F", **more):
    return {"row": row, "column": metric, "system": "co F", "metric": metric, "value": value} | more


def only_grid(study):
    (table,) = build(study).tables
    (grid,) = paper_grids(table)
    return grid


@pytest.fixture
def wrote(variant, paper):
    """Writes runs of three classes with a paper's table of these cells."""

    def made(*cells, confusions=THREE, **changes):
        given = {"n_folds": len(confusions), "classes": CLASSES, **changes}
        table = paper(*cells, pair=["exc", "hap"])
        return variant("co F", confusions, papers=[table], **given)

    return made


def test_every_figure_that_a_paper_may_have_is_known():
    assert tuple(PAPER_METRICS) == FIGURES


def test_f1_of_two_classes_by_hand():
    nobody = [[2, 0, 0], [0, 0, 0], [1, 0, 3]]
    first, second = pair_f1(np.array([*THREE, nobody]), 1, 2)
    # exc: 2 right, 4 examples and 3 predictions; hap: 4, 5 and 6
    assert first == pytest.approx((4 / 7 + 8 / 11) / 2)
    assert np.isnan(second)
    # ang: 3 right, 4 examples and 4 predictions
    assert pair_f1(np.array(THREE), 0, 2) == pytest.approx((6 / 8 + 8 / 11) / 2)


def test_both_readings_of_the_f1_of_a_pair(tmp_path, wrote):
    wrote(cell("f1_pair_mean", 60.0), cell("f1_pair_among", 79.8))
    grid = only_grid(tmp_path)
    # among the two: [[2, 1], [1, 4]], F1 4 / 6 and 8 / 10
    assert grid.rows == (("F", "64.94 ± –", "60.00", "+4.94", "73.33 ± –", "79.80", "-6.47"),)
    assert "f1_pair_mean: mean of the F1 of exc and hap, of all utterances" in grid.note
    assert "among utterances whose label and prediction are of the two" in grid.note
    (mean, among) = as_json(build(tmp_path))["tables"][0]["papers"]
    assert mean["pair"] == ["exc", "hap"]
    assert among["ours_mean"] == pytest.approx((4 / 6 + 8 / 10) / 2)
    assert among["paper"] == pytest.approx(0.798)


def test_runs_without_an_example_of_the_pair_are_left_out_of_its_spread(tmp_path, wrote):
    without = [[1, 0, 0], [0, 0, 0], [0, 0, 2]]
    better = [[3, 0, 0], [0, 3, 1], [0, 1, 4]]
    wrote(cell("f1_pair_among", 79.8), confusions=[*THREE, without, better])
    wrote(cell("f1_pair_among", 79.8), confusions=[without] * 3, seed=2)
    # 0.73333, and among the two of `better`: F1 6 / 8 and 8 / 10, mean 0.775; one seed has none
    assert only_grid(tmp_path).rows == (("F", "75.42 ± 2.95", "79.80", "-4.38"),)


def test_the_seeds_of_a_pair_have_a_spread(tmp_path, wrote):
    better = [[3, 0, 0], [0, 3, 1], [0, 1, 4]]
    wrote(cell("f1_pair_among", 79.8), confusions=THREE)
    wrote(cell("f1_pair_among", 79.8), confusions=[better], seed=2)
    assert only_grid(tmp_path).rows[0][1] == "75.42 ± 2.95 / 2.95"


def test_a_pair_that_the_classes_do_not_have_is_not_compared(tmp_path, variant, paper):
    table = paper(cell("f1_pair_mean", 60.0), pair=["exc", "hap"])
    variant("co F", [[[2, 0], [0, 2]]], n_folds=1, papers=[table])
    assert only_grid(tmp_path).rows == (("F", "–", "60.00", "–"),)


def test_parameters_have_no_spread_but_a_difference(tmp_path, wrote):
    sizes = {"total": 142_500_000, "trainable": 44_100_000}
    wrote(cell("parameters", 27.6), cell("trainable", 27.6), parameters=sizes)
    grid = only_grid(tmp_path)
    assert grid.rows == (("F", "142.50", "27.60", "+114.90", "44.10", "27.60", "+16.50"),)
    assert "parameters: all parameters in millions; trainable: trained parameters" in grid.note
    assert "sample sd" not in grid.note
    (total, _) = as_json(build(tmp_path))["tables"][0]["papers"]
    assert (total["ours_mean"], total["ours_sd"]) == (142_500_000, None)
    assert total["paper"] == pytest.approx(27_600_000)
    assert total["difference"] == pytest.approx(114_900_000)


def test_time_and_memory_of_another_machine_have_no_difference(tmp_path, wrote):
    cells = [cell("ms_per_sample", 22.6), cell("peak_memory_gb", 3.1)]
    for seed, ms, gb in ((1, 10.0, 1.5), (2, 30.0, 1.25), (3, 14.0, 1.0)):
        wrote(*cells, seed=seed, cost={**COST, "ms_per_sample": ms, "peak_memory_gb": gb})
    grid = only_grid(tmp_path)
    assert grid.groups == ("ms_per_sample", "peak_memory_gb")
    assert grid.header == ("row", "ours", "paper", "ours", "paper")
    assert grid.one_header[3] == "peak_memory_gb: ours"
    assert grid.rows == (("F", "14.0", "22.6", "1.50", "3.10"),)
    assert grid.footnotes[-1] == (
        "Time and memory are of the machine: no difference to the paper's is shown; ours: "
        "GPU A, 2 threads, bf16-mixed."
    )
    (time, _) = as_json(build(tmp_path))["tables"][0]["papers"]
    assert (time["paper"], time["ours_mean"], time["difference"]) == (22.6, 14.0, None)


def test_on_several_machines_there_is_no_one_figure(tmp_path, wrote):
    wrote(cell("ms_per_sample", 22.6), seed=1, cost=COST)
    wrote(cell("ms_per_sample", 22.6), seed=2, cost={**COST, "device": "GPU B"})
    grid = only_grid(tmp_path)
    assert grid.rows == (("F", "–", "22.6"),)
    assert "ours: GPU A, 2 threads, bf16-mixed and GPU B, 2 threads" in grid.footnotes[-1]
    assert grid.footnotes[-1].endswith("Runs on several machines have no one figure; see Cost.")


def test_scores_and_other_figures_in_one_table(tmp_path, wrote):
    wrote(cell("wa", 70.0), cell("ms_per_sample", 22.6), cell("ua", 50.0, row="G", system=None))
    grid = only_grid(tmp_path)
    assert grid.header == ("row", *("ours", "paper", "difference"), "ours", "paper",
                           *("ours", "paper", "difference"))  # fmt: skip
    assert [cell_ for _, cell_ in grid.grouped] == [3, 2, 3]
    # WA 9 of 13; no run has its cost
    assert grid.rows == (
        ("F", "69.23 ± –", "70.00", "-0.77", "–", "22.6", "", "", ""),
        ("G", "", "", "", "", "", "–", "50.00", "–"),
    )
    assert grid.note.startswith("wa: WA in percent; ms_per_sample: milliseconds to predict one")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metric": "f1"}, "a cell of Zhao 2022, Table 2 in result.json: metric is 'f1', not in"),
        ({"metric": "f1_pair_mean"}, "f1_pair_mean needs pair: two classes, got []"),
        ({"metric": "f1_pair_mean", "pair": ["exc", "exc"]}, "got ['exc', 'exc']"),
        ({"pair": "exc"}, "pair is 'exc', of the wrong type"),
    ],
)
def test_a_damaged_cell_is_named(paper, changes, says):
    with pytest.raises(ValueError, match="in result") as error:
        PaperTable.of(paper({**cell("ua", 1.0), **changes}))
    assert says in str(error.value)


def cost_rows(study):
    (table,) = build(study).tables
    return next(grid for grid in grids(table) if grid.title == "Cost")


def test_costs_are_a_table_of_their_own_with_a_line_for_each_machine(tmp_path, system):
    one = [[[2, 0], [0, 2]]]
    system(tmp_path, "late", one, n_folds=1, seed=1, cost=COST)
    cpu = {**COST, "device": "CPU", "threads": 1, "features": "cached", "peak_memory_gb": None}
    system(tmp_path, "late", one, n_folds=1, seed=2, cost=cpu)
    system(tmp_path, "majority", one, n_folds=1, cost=None)
    grid = cost_rows(tmp_path)
    assert grid.header[1:] == (
        "parameters", "trained", "training s", "ms per sample", "memory GB", "predicted on",
    )  # fmt: skip
    sizes = ("1,200", "1,000", "12")
    assert grid.rows == (
        ("late", *sizes, "12.2", "1.50", "GPU A, 2 threads, bf16-mixed (1 of 2 runs)"),
        ("late", *sizes, "12.2", "–", "CPU, 1 thread, bf16-mixed; features cached, without the "
         "encoders (1 of 2 runs)"),
        ("majority (floor)", *sizes, "–", "–", "–"),
    )  # fmt: skip
    assert grid.floors == 1
    (record, _) = as_json(build(tmp_path))["tables"][0]["costs"]
    assert (record["model"], record["device"], record["n_runs"]) == ("late", "GPU A", 1)


def test_results_of_older_versions_have_no_cost(study):
    """Those of conftest have none."""
    assert {cell for row in cost_rows(study).rows for cell in row[4:]} == {"–"}


def test_a_damaged_cost_makes_its_run_unreadable(tmp_path, system):
    system(tmp_path, "late", [[[2, 0], [0, 2]]], n_folds=1, cost=COST)
    bad = {**COST, "device": None}
    (folder,) = system(tmp_path, "other", [[[2, 0], [0, 2]]], n_folds=1, cost=bad)
    (problem,) = read_study(tmp_path).problems
    assert folder.name in problem.where
    assert "result.json: cost: device is None, of the wrong type" in problem.what


def test_a_pooled_figure_is_of_all_folds_at_once_and_has_no_spread(tmp_path, variant, paper):
    confusions = [[[1, 1], [0, 2]]] * 4 + [[[9, 1], [1, 3]]]
    pooled = {"row": "F", "column": "UA", "system": "co F", "metric": "ua_pooled", "value": 80.0}
    variant("co F", confusions, papers=[paper(pooled)])
    grid = only_grid(tmp_path)
    # of all folds: 13 of 18 and 11 of 12
    assert grid.rows == (("F", "81.94", "80.00", "+1.94"),)
    assert grid.note.startswith("UA in percent, pooled over the folds, mean over the seeds. 5 runs")
