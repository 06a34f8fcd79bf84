"""The last epoch beside the one that validation chose."""

from sermm.report.output.text import every_grid, main_tables, markdown, table_text
from sermm.report.tables.epoch_grids import epoch_grids
from sermm.report.tables.tables import build

TITLE = "By epoch"


def other(epoch, ua):
    metrics = {"test/ua": ua, "test/wa": 0.5, "test/f1_macro": None, "val/ua": 0.9}
    return {"epoch": epoch, "selection": "val", "metrics": metrics}


def test_both_epochs_of_systems_that_have_two(study, a_run):
    for fold, (epoch, ua) in enumerate(((2, 0.5), (4, 0.7)), 1):
        a_run(
            study,
            "single_gate",
            [[3, 1], [0, 4]],
            fold=fold,
            selection="last",
            epochs={"best": 8, "last": 8},
            other_epoch=other(epoch, ua),
        )
    report = build(study)
    (table,) = report.tables
    (grid,) = epoch_grids(table)
    assert grid.grouped == (("last epoch", 4), ("epoch that validation chose", 4))
    # 7/8 by hand in each fold; of the other epoch (50 + 70) / 2, sd sqrt(200).
    (row,) = grid.rows
    assert row[:3] == ("single_gate", "8.0", "87.5 ± 0.0")
    assert row[5:] == ("3.0", "60.0 ± 14.1", "50.0 ± 0.0", "– ± –")
    assert grid in every_grid(table)
    for text in (table_text(report), markdown(report), main_tables(report)):
        assert TITLE in text
        assert "60.0 ± 14.1" in text


def test_a_study_without_such_runs_has_no_such_grid(study):
    report = build(study)
    assert [epoch_grids(table) for table in report.tables] == [[]]
    assert TITLE not in table_text(report) + markdown(report)
