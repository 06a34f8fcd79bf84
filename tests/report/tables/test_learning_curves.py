import html
import re

import pytest

from sermm.report.output.page import write
from sermm.report.output.text import markdown
from sermm.report.tables.curve_grids import curve_grids
from sermm.report.tables.learning_curves import Spread
from sermm.report.tables.tables import build
from sermm.runs.reading.runs import read_study

ONE = [[[1, 1], [0, 2]]]
LONG = "epoch,val/loss,val/wa,train/loss,train/wa\n1,1.5,.5,1,.25\n2,1,.75,.5,.5\n3,2,.625,.25,1\n"
SHORT = "epoch,val/loss,val/wa,train/loss\n1,0.5,.75,2\n2,2,.25,1\n"


@pytest.fixture
def learned(tmp_path, system):
    """Writes a system with the given texts as the `metrics.csv` of its folds; None = no file."""

    def wrote(*texts, model="gate", **changes):
        folders = system(tmp_path, model, ONE * len(texts), n_folds=len(texts), **changes)
        for folder, text in zip(folders, texts, strict=True):
            if text is not None:
                (folder / "metrics.csv").write_text(text)
        return folders

    return wrote


def printed(**changes):
    return {
        "source": "Bian 2024", "metric": "wa", "protocol": "loso4", "data": "iemocap",
        "note": "from a log", "points": [
            {"epoch": 6, "train": 95.43, "val": None}, {"epoch": 1, "train": 57.89, "val": 70.43},
            {"epoch": 3, "train": 80.18, "val": 74.19},
        ], **changes,
    }  # fmt: skip


def curves_of(study, model="gate"):
    (table,) = build(study).tables
    return next(curves for curves in table.curves.values() if curves.row.label == model)


def page_of(study):
    write(build(study), study / "report")
    return html.unescape((study / "report" / "index.html").read_text())


def pictures(study):
    return {path.name.partition("-")[0] for path in (study / "report").glob("*.png")}


def test_mean_and_extent_are_over_the_runs_that_got_to_the_epoch(tmp_path, learned):
    learned(LONG, SHORT, None)
    curves = curves_of(tmp_path)
    assert curves.curve("val", "wa") == {
        1: Spread(0.625, 0.5, 0.75, 2),
        2: Spread(0.5, 0.25, 0.75, 2),
        3: Spread(0.625, 0.625, 0.625, 1),
    }
    assert curves.curve("train", "loss")[1] == Spread(1.5, 1, 2, 2)
    assert curves.curve("train", "wa")[1] == Spread(0.25, 0.25, 0.25, 1)
    assert curves.curve("val", "ua") == {}


def test_epochs_are_in_order_and_gaps_and_diverged_losses_are_left_out(tmp_path, learned):
    learned("epoch,val/wa,train/loss\n3,.5,nan\n1,.25,2\n2,,inf\n")
    assert list(curves_of(tmp_path).curve("val", "wa").items()) == [
        (1, Spread(0.25, 0.25, 0.25, 1)),
        (3, Spread(0.5, 0.5, 0.5, 1)),
    ]
    assert list(curves_of(tmp_path).curve("train", "loss")) == [1]


@pytest.mark.parametrize(
    ("changes", "metric"),
    [
        ({"headline": "ua"}, "ua"),
        ({"headline": "f1_macro"}, "f1_macro"),
        ({"headline": "ua", "curves": [printed()]}, "wa"),
        ({"headline": "f1_weighted"}, "ua"),
    ],
)
def test_the_papers_metric_is_drawn_or_the_headline_or_what_is_there(
    tmp_path, learned, changes, metric
):
    learned("epoch,val/ua,val/wa,val/f1_macro\n1,.5,.5,.5\n2,.5,.5,.5\n", **changes)
    assert curves_of(tmp_path).metric == metric


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a column epoch, got an empty file"),
        ("val/wa\n.5\n", "expected a column epoch, got val/wa"),
        ("epoch,val/wa\n1,.5,.6\n", "the row of epoch 1 has more values than there are columns"),
        ("epoch,val/wa\nx,.5\n", "invalid literal for int"),
        ("epoch,val/wa\n1,high\n", "could not convert string to float: 'high'"),
    ],
)
def test_a_damaged_file_is_named_and_costs_no_more_than_its_curve(tmp_path, learned, text, says):
    damaged = learned(text, LONG)[0]
    (table,) = build(tmp_path).tables
    (warning,) = table.warnings
    assert f"not in the learning curves: cannot read {damaged / 'metrics.csv'}: {says}" in warning
    assert "remove the file to report without the curve" in warning
    (curves,) = table.curves.values()
    assert {spread.n for spread in curves.curve("train", "wa").values()} == {1}


def test_only_the_systems_that_are_shown_are_read(tmp_path, learned, system, monkeypatch):
    monkeypatch.setattr("sermm.report.tables.tables.MAX_FIGURES", 1)
    system(tmp_path, "best", [[[2, 0], [0, 2]]], n_folds=1)
    learned("damaged")
    (table,) = build(tmp_path).tables
    assert [curves.row.label for curves in table.curves.values()] == ["best"]


def test_a_picture_beside_the_confusion_matrix_with_numbers_for_those_who_cannot_see(
    tmp_path, learned
):
    learned(LONG, SHORT, curves=[printed()], epochs={"best": 2})
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "curves-old.png").write_bytes(b"")
    page = page_of(tmp_path)
    (picture,) = (tmp_path / "report").glob("curves-*.png")
    assert picture.name.startswith("curves-loso4-gate-")
    assert picture.read_bytes().startswith(b"\x89PNG")
    alt = re.search(rf'src="{picture.name}" alt="(.*?)"', page)[1]
    assert alt == (
        "Learning curves of gate, iemocap, protocol loso4; "
        "training WA 25.0 % at epoch 1, 50.0 % at epoch 2 (best), 100.0 % at epoch 3; "
        "validation WA 62.5 % at epoch 1, 50.0 % at epoch 2 (best), 62.5 % at epoch 3; "
        "training loss 1.50 at epoch 1, 0.75 at epoch 2 (best), 0.25 at epoch 3; "
        "validation loss 1.00 at epoch 1, 1.50 at epoch 2 (best), 2.00 at epoch 3"
    )
    assert "Confusion matrices and learning curves" in page
    assert page.index("confusion-loso4-gate") < page.index(picture.name)


@pytest.mark.parametrize("text", [None, "epoch,val/ua,train/loss\n1,.5,1\n"])
def test_one_epoch_or_none_is_no_curve(tmp_path, learned, text):
    learned(text)
    assert "learning curves" not in page_of(tmp_path)
    assert pictures(tmp_path) == {"confusion"}


@pytest.mark.parametrize(
    "text",
    [
        "epoch,train/loss\n1,1\n2,.5\n",
        "epoch,val/wa\n1,.5\n2,.5\n",
        "epoch,val/loss,train/wa\n1,1,.5\n2,.5,.5\n",
    ],
)
@pytest.mark.parametrize("best", [None, 1, 40])
def test_curves_are_drawn_of_what_there_is(tmp_path, learned, text, best):
    sources = ["A $1$", "B", "C", "D", "E", "_ whose name is longer than the legend has room for"]
    learned(text, epochs={"best": best}, curves=[printed(source=s, data=s) for s in sources])
    page_of(tmp_path)
    assert pictures(tmp_path) == {"confusion", "curves"}


def test_the_papers_figures_by_epoch_beside_ours(tmp_path, learned):
    learned(LONG, SHORT, curves=[printed()])
    (table,) = build(tmp_path).tables
    (grid,) = curve_grids(table)
    assert grid.title == "Bian 2024, by epoch: gate"
    assert grid.groups == ("training", "validation")
    assert grid.header == ("epoch", "ours", "paper", "ours", "paper")
    assert grid.rows == (
        ("1", "25.00 (n = 1)", "57.89", "62.50", "70.43"),
        ("3", "100.00 (n = 1)", "80.18", "62.50 (n = 1)", "74.19"),
        ("6", "–", "95.43", "–", "–"),
    )
    assert grid.note == (
        "WA in percent; ours: mean over 2 runs, or over the n that have the figure."
    )
    assert grid.footnotes == ("from a log",)


def test_runs_without_a_single_epoch_leave_the_papers_figures_alone(tmp_path, learned):
    learned(None, curves=[printed()])
    (grid,) = curve_grids(build(tmp_path).tables[0])
    assert grid.rows[0] == ("1", "–", "57.89", "–", "70.43")
    assert grid.note == "WA in percent; ours: one run."


def test_another_protocol_and_another_corpus_are_said(tmp_path, learned):
    learned(LONG, curves=[printed(protocol="bian2024_actual")])
    learned(LONG, curves=[printed()], data="demo", system="other")
    # On another corpus it stands only where it was asked for.
    assert [len(curve_grids(table)) for table in build(tmp_path).tables] == [0, 1]
    demo, iemocap = (curve_grids(table)[0] for table in build(tmp_path, papers=True).tables)
    assert demo.header[2] == "paper (iemocap)"
    assert demo.note.endswith("(iemocap, ours is demo): only the layout is compared.")
    assert iemocap.header[2] == "paper"
    assert "Two protocols, ours: loso4; the paper's: bian2024_actual: no diff" in iemocap.note


def test_they_stand_below_the_tables(tmp_path, learned):
    learned(LONG, curves=[printed()])
    page = page_of(tmp_path)
    text = markdown(build(tmp_path))
    assert text == (tmp_path / "report" / "tables.md").read_text()
    assert "| epoch | training: ours | paper | validation: ours | paper |" in text
    for said in (page, text):
        assert said.index("Best epoch: mean") < said.index("Bian 2024, by epoch: gate")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metric": "accuracy"}, "the curve of Bian 2024 in result.json: metric is 'accuracy'"),
        ({"note": None}, "a curve in result.json: note is None, of the wrong type"),
        ({"points": []}, "the curve of Bian 2024 in result.json has no points, or two of the same"),
        ({"points": [{"epoch": 2, "train": 1, "val": 1}] * 2}, "or two of the same epoch"),
        ({"points": [{"epoch": 1, "val": 1}]}, "a curve in result.json: points has no train"),
        ({"points": [{"epoch": 0, "train": 1, "val": 1}]}, "expected an epoch of at least 1"),
        ({"points": [{"epoch": 1, "train": 1, "val": 101}]}, "and figures in percent"),
        ({"points": [{"epoch": 1, "train": 1, "val": 1, "val_loss": -1}]}, "ratios of at least 0"),
        ({"points": [{"epoch": 1, "train": 1, "val": 1, "ratio": "2"}]}, "ratio is '2', of the"),
    ],
)
def test_a_damaged_curve_makes_its_run_unreadable(tmp_path, learned, changes, says):
    learned(LONG)
    (folder,) = learned(LONG, model="other", curves=[printed(**changes)])
    (problem,) = read_study(tmp_path).problems
    assert problem.kind == "unreadable"
    assert folder.name in problem.where
    assert says in problem.what


def test_curves_are_required_and_held_once(tmp_path, learned):
    learned(LONG, SHORT, curves=[printed()])
    runs = read_study(tmp_path).runs
    assert len({id(run.result.curves) for run in runs}) == 1
    result = runs[0].folder / "result.json"
    result.write_text(result.read_text().replace('"curves"', '"other"'))
    said = read_study(tmp_path).problems[0].what
    assert said.startswith(f"{result} is damaged: result.json has no curves")


def test_a_table_is_no_curve(tmp_path, learned, paper):
    learned(LONG, papers=[paper()])
    learned(LONG, model="other", curves=[paper()])
    assert "a curve in result.json has no points" in read_study(tmp_path).problems[0].what


LOSSES = (
    "epoch,val/loss,val/wa,train/loss,train/wa,overfit/wa_ratio,overfit/loss_ratio\n"
    "5,.75,.5,.5,.75,1.5,1.5\n10,1,0,.25,1,,4\n"
)
POINTS = [
    {"epoch": 5, "train": 79.7, "val": 74.2, "train_loss": 0.66, "val_loss": 0.81, "ratio": 1.23},
    {"epoch": 10, "train": 91.2, "val": 80.5, "train_loss": 0.3, "val_loss": 0.75, "ratio": 1.13},
]


def test_losses_of_a_paper_bring_both_ratios_under_their_own_names(tmp_path, learned):
    learned(LOSSES, LOSSES.replace("1.5,1.5\n", "2.5,2.5\n"), curves=[printed(points=POINTS)])
    (grid,) = curve_grids(build(tmp_path).tables[0])
    assert grid.groups == (
        "loss, training",
        "loss, validation",
        "WA, training",
        "WA, validation",
        "WA ratio, training / validation",
        "loss ratio, validation / training",
        "ratio as printed",
    )
    assert grid.header == ("epoch", *(["ours", "paper"] * 4), *(["ours", "from the paper's"] * 2),
                           "paper")  # fmt: skip
    # 79.7 / 74.2 and 0.81 / 0.66: what is printed is the one, then the other
    assert grid.rows[0][1:9] == ("0.50", "0.66", "0.75", "0.81", "75.00", "79.70", "50.00", "74.20")
    assert grid.rows[0][9:] == ("2.00", "1.07", "2.00", "1.23", "1.23")
    assert grid.rows[1][9:] == ("–", "1.13", "4.00", "2.50", "1.13")


def test_ratios_are_of_the_papers_own_metric(tmp_path, learned):
    given = [{name: value for name, value in point.items() if name != "ratio"} for point in POINTS]
    learned(LOSSES, curves=[printed(points=given, metric="ua")])
    (grid,) = curve_grids(build(tmp_path).tables[0])
    assert grid.groups[2:] == (
        "UA, training",
        "UA, validation",
        "loss ratio, validation / training",
    )


def test_the_papers_losses_are_drawn_beside_ours(tmp_path, learned, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "sermm.report.output.curve_figures._draw_paper",
        lambda axes, paper, name, number, data: drawn.append((name, number)),
    )
    learned(LOSSES, curves=[printed(points=POINTS)])
    page_of(tmp_path)
    assert drawn == [("wa", 0), ("loss", 0)]


def test_a_curve_under_the_twin_says_that_it_is_of_another_protocol(tmp_path, learned):
    learned(LOSSES, curves=[printed(points=POINTS, protocol="random6_leaky")])
    (grid,) = curve_grids(build(tmp_path).tables[0])
    assert "Two protocols, ours: loso4; the paper's: random6_leaky: no difference" in grid.note


def test_how_alike_the_branches_of_coattention_are_stands_in_the_report(tmp_path, learned):
    text = "epoch,val/ua,val/cosine_frame,val/cosine_phone\n2,.5,.1,.1\n3,.75,{},.25\n4,.5,.2,.2\n"
    learned(text.format(0.9), text.format(0.8), model="coattention")
    learned(LONG, SHORT, model="gate")
    assert curves_of(tmp_path).cosines == {}
    page, lines = page_of(tmp_path), markdown(build(tmp_path)).splitlines()
    assert "Likeness of co-attention branches" in page
    start = lines.index("### Likeness of co-attention branches")
    assert lines[start + 2] == "| model | frame | phone |"
    # Of the chosen epoch, which is the third.
    cells = "0.850 (0.800 to 0.900) | 0.250 (0.250 to 0.250)"
    assert lines[start + 4] == f"| coattention | {cells} |"
    assert not lines[start + 5]
