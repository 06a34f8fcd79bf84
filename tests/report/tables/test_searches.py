"""What a report says of a search: validation, and nothing else."""

import html

import polars as pl
import pytest

from sermm.core.errors import InputError
from sermm.report.output.kept import keep, readable
from sermm.report.output.page import write
from sermm.report.output.text import main_tables, markdown, table_text
from sermm.report.tables.search_grids import search_grids
from sermm.report.tables.tables import as_json, build
from sermm.runs.trials import Search, Trial, read_search, write_search

COMMAND = "sermm train -m model=late_fusion lr=0.2 'fold=range(1,6)' study=searched-best"
# By trial: validation UA of folds 1 and 2; the last one's second fold has failed.
TRIED = {0: (0.5, 0.6), 1: (0.4, 0.5), 2: (0.7, 0.9), 5: (0.2,)}


@pytest.fixture
def searched(tmp_path, a_run):
    """A search over two of five folds; its files tell of the test part what none may show."""
    study = tmp_path / "runs" / "searched"
    trials = []
    for number, values in TRIED.items():
        words = {"lr": f"0.{number}"}
        runs = [
            a_run(study, "late_fusion", [[1, 1], [0, 2]], fold=fold, system=f"t{number}",
                  settings=words, withheld=True, metrics={"val/ua": ua, "test/ua": 0.1234})
            for fold, ua in enumerate(values, 1)
        ]  # fmt: skip
        value = sum(values) / 2 if len(values) == 2 else None
        keys = tuple(run.name for run in runs)
        trials.append(Trial(number, (f"lr=0.{number}",), value, keys))
    write_search(study, Search("maximize", tuple(trials), 2, COMMAND))
    return study


def texts(report, folder):
    write(report, folder)
    page = html.unescape((folder / "index.html").read_text())
    return [page, markdown(report), main_tables(report), table_text(report)]


def test_trials_are_ranked_by_validation_with_their_spread(searched):
    (table,) = build(searched).searches
    assert [row.number for row in table.rows] == [2, 0, 1, 5]
    best = table.rows[0]
    assert (best.mean, best.by_fold) == (pytest.approx(0.8), {1: 0.7, 2: 0.9})
    assert best.sd == pytest.approx(0.02**0.5)
    assert (table.rows[-1].mean, table.rows[-1].n_runs) == (None, 1)
    main = search_grids(table)[0]
    assert main.header == ("trial", "runs", "val UA mean ± sd", "fold 1", "fold 2", "settings")
    assert main.rows[0] == ("2", "2", "80.0 ± 14.1", "70.0", "90.0", "lr=0.2")
    assert main.rows[-1] == ("5", "1", "failed", "20.0", "–", "lr=0.5")


def test_the_trajectory_is_the_best_so_far(searched):
    (table,) = build(searched).searches
    assert [(step.number, step.best) for step in table.steps] == [
        (0, pytest.approx(0.55)),
        (1, pytest.approx(0.55)),
        (2, pytest.approx(0.8)),
    ]
    assert search_grids(table)[1].rows == (("0", "55.0", "55.0"), ("2", "80.0", "80.0"))


def test_every_form_of_the_report_shows_the_choice_and_no_test_figure(searched):
    report = build(searched)
    assert report.complete
    for text in texts(report, searched / "report"):
        assert COMMAND in text
        assert "80.0 ± 14.1" in text
        assert "chosen: trial 2, validation UA 80.0 ± 14.1 over folds 1, 2: lr=0.2" in text
        for absent in ("12.3", "test UA", "no finished run", "INCOMPLETE", "Incomplete", "pooled"):
            assert absent not in text
    (found,) = as_json(report)["searches"]
    assert (found["chosen"], found["command"]) == (2, COMMAND)
    assert "0.1234" not in str(as_json(report))


def test_files_of_a_search(searched, tmp_path):
    report, folder = build(searched), searched / "report"
    folder.mkdir()
    (folder / "trials-old.png").write_bytes(b"")
    (folder / "results.csv").write_text("of an earlier report")
    write(report, folder)
    files = {path.name for path in folder.iterdir()}
    (picture,) = (name for name in files if name.endswith(".png"))
    assert files == {"index.html", "tables.md", "trials.csv", picture}
    assert readable(report) == {"trials": picture}
    assert f'src="{picture}" alt="Trials of iemocap' in (folder / "index.html").read_text()
    rows = pl.read_csv(folder / "trials.csv")
    assert rows["trial"].to_list() == [2, 0, 1, 5]
    assert rows["val_ua_fold_2"].to_list() == [0.9, 0.6, 0.5, None]
    keep(report, folder, tmp_path / "kept", ["trials"])
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"trials.csv", "trials.png"}


def test_ordinary_runs_and_trials_of_one_study_stand_apart(searched, system):
    system(searched, "late_fusion", [[[1, 1], [0, 2]]] * 5)
    report = build(searched)
    (table,) = report.tables
    assert [row.label for row in table.rows] == ["late_fusion"]
    assert table.rows[0].n_runs == 5
    assert len(report.searches[0].rows) == 4
    write(report, searched / "report")
    assert {"results.csv", "trials.csv"} <= {p.name for p in (searched / "report").iterdir()}


def test_runs_that_no_search_asked_for_are_a_row_a_system(searched):
    (searched / "search.json").unlink()
    (table,) = build(searched).searches
    assert [(row.number, row.settings) for row in table.rows] == [
        (None, "late_fusion lr=0.2"),
        (None, "late_fusion lr=0.0"),
        (None, "late_fusion lr=0.1"),
        (None, "late_fusion lr=0.5"),
    ]
    assert (table.steps, table.chosen, table.command) == ((), None, "")


def test_protocols_of_a_search_are_tables_of_their_own(searched, a_run):
    other = a_run(searched, "caf", [[1, 0], [0, 1]], protocol="speaker10", n_folds=10,
                  withheld=True, metrics={"val/ua": 0.95})  # fmt: skip
    known = read_search(searched)
    trials = (*known.trials, Trial(6, ("protocol=speaker10",), 0.95, (other.name,)))
    write_search(searched, Search("maximize", trials, 6, COMMAND))
    first, second = build(searched).searches
    assert {first.protocol: first.command, second.protocol: second.command} == {
        "loso4": "",
        "speaker10": COMMAND,
    }


def test_a_damaged_search_says_the_way_out(searched):
    (searched / "search.json").write_text('{"direction": 1}')
    with pytest.raises(InputError, match=r"search\.json is damaged: .*remove it"):
        build(searched)


def test_a_search_says_what_its_trials_were_run_with(tmp_path, a_run):
    def encoder(name):
        return {
            "key": "encoder.speech", "modality": "speech", "name": name, "weights": "pre-trained",
            "revision": None, "parameters": 1, "settings": {"trainable": "none"},
        }  # fmt: skip

    for number, name in enumerate(["hubert", "hubert", "wavlm"]):
        setup = {"variant": "x", "encoders": [encoder(name)], "recipe": {"features.mode": "frozen"}}
        a_run(tmp_path / str(number // 2), "co", [[1, 1], [0, 2]], system=f"t{number}",
              withheld=True, metrics={"val/ua": 0.5}, setup=[setup],
              settings={"lr": str(number)})  # fmt: skip
    (table,) = build(tmp_path / "0").searches
    assert "All trials: speech: hubert, frozen" in search_grids(table)[0].note
    assert "speech: hubert, frozen" in table_text(build(tmp_path / "0"))
    (tmp_path / "1").rename(tmp_path / "one")
    next((tmp_path / "one").iterdir()).rename(tmp_path / "0" / "other")
    (table,) = build(tmp_path / "0").searches
    main = search_grids(table)[0]
    assert main.header[-2:] == ("speech", "settings")
    assert {row[-2] for row in main.rows} == {"hubert, frozen", "wavlm, frozen"}
