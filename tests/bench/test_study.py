from sermm.bench.study_runs import UTTERANCES, write_study
from sermm.report.tables.tables import build
from sermm.sweeps.study import details, entries, missing


def test_the_made_up_study_is_whole_and_of_the_size_of_iemocap(tmp_path):
    study = tmp_path / "made up"
    write_study(study, systems=2, seeds=2)
    found = entries(study)
    assert [entry.state for entry in found] == ["finished"] * 2 * 5 * 2
    assert all(entry.job for entry in found)
    assert missing(study) == []
    (table,) = build(study).tables
    assert [(row.n_runs, row.n_folds) for row in table.rows] == [(10, 5)] * 2
    assert sum(map(sum, table.rows[0].confusion)) == 2 * sum(UTTERANCES) == 2 * 5531
    # Each run's predictions have the scores that its result says.
    assert table.warnings == ()


def test_each_run_has_its_own_fold_and_seed(tmp_path):
    study = tmp_path / "study"
    write_study(study, systems=1, seeds=2)
    titles = [details(entry, study).title for entry in entries(study)]
    assert {(title["fold"], title["seed"]) for title in titles} == {
        (str(fold), str(seed)) for fold in range(1, 6) for seed in range(2)
    }
