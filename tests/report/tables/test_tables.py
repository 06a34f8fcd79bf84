import json

import pytest

from sermm.core.errors import InputError
from sermm.report.tables.grids import grids
from sermm.report.tables.tables import as_json, build, summary
from sermm.runs.plans import Note, PlannedJob, write_note, write_plan


def rows(report):
    return {row.label: row for table in report.tables for row in table.rows}


def fail(folder, error="RuntimeError: out of memory"):
    (folder / "status.json").write_text(json.dumps({"state": "failed", "error": error}))


def test_fold_mean_and_pooled_by_hand(study):
    row = rows(build(study))["speech_only"]
    # UA by fold: 4 x 0.75 and (0.9 + 0.75) / 2; pooled matrix [[13, 5], [1, 11]]
    assert row.n_runs == 5
    assert row.mean["ua"] == pytest.approx((4 * 0.75 + 0.825) / 5)
    assert row.sd["ua"] == pytest.approx(0.001125**0.5)
    assert row.pooled["ua"] == pytest.approx((13 / 18 + 11 / 12) / 2)
    assert row.mean["wa"] == pytest.approx((4 * 0.75 + 12 / 14) / 5)
    assert row.pooled["wa"] == pytest.approx(24 / 30)
    assert row.recall == pytest.approx({"ang": 13 / 18, "sad": 11 / 12})
    assert row.confusion == [[13, 5], [1, 11]]
    low, high = row.interval["ua"]
    assert low < row.pooled["ua"] < high


def test_best_first_and_floors_last(study):
    (table,) = build(study).tables
    assert [row.label for row in table.rows] == ["late_fusion", "speech_only", "lookup", "majority"]
    assert [row.floor for row in table.rows] == [False, False, True, True]


def test_acts_and_groups_apart(tmp_path, a_run):
    def row(name, label, predicted, act, group):
        return {
            "utterance_id": name, "split": "test", "label": label, "predicted": predicted,
            "group": group, "dialogue": name, "talker": "t", "act": act,
        }  # fmt: skip

    said = [
        row("a", "ang", "ang", "improvised", "1"),
        row("b", "ang", "sad", "improvised", "1"),
        row("c", "sad", "sad", "improvised", "2"),
        row("d", "ang", "ang", "scripted", "2"),
        row("e", "ang", "ang", "scripted", "2"),
        row("f", "ang", "ang", "scripted", "2"),
        row("g", "sad", "ang", "scripted", "2"),
    ]
    a_run(tmp_path, "speech_only", None, rows=said, n_folds=1)
    got = rows(build(tmp_path))["speech_only"]
    improvised, scripted = got.acts["improvised"], got.acts["scripted"]
    assert (improvised.ua, improvised.wa, improvised.n) == pytest.approx((0.75, 2 / 3, 3))
    assert (scripted.ua, scripted.wa, scripted.n) == pytest.approx((0.5, 0.75, 4))
    assert got.groups["1"].ua == pytest.approx(0.5)
    assert got.groups["2"].wa == pytest.approx(4 / 5)
    assert got.sd["ua"] is None


def test_pooled_over_seeds_is_the_mean_of_the_seeds(tmp_path, system):
    system(tmp_path, "late_fusion", [[[4, 0], [0, 4]]], n_folds=1, seed=1)
    system(tmp_path, "late_fusion", [[[2, 2], [0, 4]]], n_folds=1, seed=2)
    row = rows(build(tmp_path))["late_fusion"]
    assert row.seeds == (1, 2)
    assert row.pooled["ua"] == pytest.approx((1 + 0.75) / 2)
    assert row.mean["ua"] == pytest.approx((1 + 0.75) / 2)
    assert row.acts["scripted"].n == 4


def test_one_dialogue_has_no_interval(tmp_path, a_run):
    row = {
        "utterance_id": "a", "split": "test", "label": "ang", "predicted": "ang", "group": "1",
        "dialogue": "d", "talker": "t", "act": "",
    }  # fmt: skip
    a_run(tmp_path, "speech_only", None, rows=[row], n_folds=1)
    report = build(tmp_path)
    assert rows(report)["speech_only"].interval is None
    assert summary(report)[0]["interval_low"] is None


def test_missing_folds_and_failed_runs_are_named_and_the_others_reported(study):
    fail(study / "speech_only-system-loso4-s1-f2")
    report = build(study)
    assert not report.complete
    (missing,), (problem,) = report.missing, report.problems
    assert missing == "speech_only on iemocap, loso4, seed 1: no finished run for fold 2 of 5"
    assert problem.where.endswith("(model speech_only, fold 2, seed 1)")
    assert problem.what == "failed: RuntimeError: out of memory"
    row = rows(report)["speech_only"]
    assert (row.n_runs, row.n_expected) == (4, 5)
    runs = {cells[0]: cells[1] for cells in grids(report.tables[0])[0].rows}
    assert runs["speech_only"] == "4 of 5"
    assert runs["late_fusion"] == "5"


def test_a_system_that_never_finished_is_named_too(study, a_run):
    fail(a_run(study, "single_gate", [[1, 0], [0, 1]]))
    assert "model single_gate, fold 1" in build(study).problems[0].where


def test_planned_runs_without_a_folder_are_missed(study):
    jobs = [PlannedJob((f"model={name}",)) for name in ("a", "b", "c", "d")]
    write_plan(study, jobs)
    write_note(study, jobs[0].words, Note(error="model.system.width=x: expected a whole number"))
    write_note(study, jobs[1].words, Note(key="found finished"))
    refused, waiting = build(study).problems
    assert (refused.where, refused.kind) == ("model=a", "failed")
    assert refused.what == "failed: model.system.width=x: expected a whole number"
    assert waiting.what.startswith("2 planned runs have not begun")


def test_missing_fold_of_a_second_seed(study, a_run):
    a_run(study, "late_fusion", [[2, 0], [0, 2]], fold=4, seed=2, text_source="human")
    (line,) = build(study).missing
    assert line == (
        "late_fusion on iemocap, loso4, seed 2: no finished run for fold 1, 2, 3, 5 of 5"
    )


def test_two_protocols_never_share_a_table(study, system):
    system(study, "speech_only", [[[3, 1], [1, 3]]] * 2, n_folds=2, protocol="random4_leaky",
           leaky=True, system="other")  # fmt: skip
    system(study, "speech_only", [[[3, 1], [1, 3]]] * 2, n_folds=2, data="demo", system="third")
    report = build(study)
    assert [(t.data, t.protocol, len(t.rows)) for t in report.tables] == [
        ("demo", "loso4", 1),
        ("iemocap", "loso4", 4),
        ("iemocap", "random4_leaky", 1),
    ]
    assert [len(t.stamps) for t in report.tables] == [0, 0, 1]
    assert "LEAKY" in report.tables[2].stamps[0]
    assert {t.rows[0].label for t in report.tables} == {"speech_only", "late_fusion"}


def test_other_classes_are_another_table(study, system):
    three = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    system(study, "speech_only", [three], n_folds=1, classes=["ang", "hap", "sad"], system="three")
    assert [t.classes for t in build(study).tables] == [("ang", "hap", "sad"), ("ang", "sad")]


def test_epoch_chosen_on_test_is_stamped(study, system):
    system(study, "mmer", [[[2, 0], [0, 2]]] * 5, selection="test")
    (table,) = build(study).tables
    assert table.stamps == ("EPOCH CHOSEN ON THE TEST FOLD: mmer",)


def test_namesakes_are_told_apart_by_their_settings(study, system):
    wide = {"model": "late_fusion", "model.system.width": "128", "trainer": "cpu"}
    system(study, "late_fusion", [[[1, 1], [1, 1]]] * 5, system="wide", settings=wide)
    twin = {**wide, "model.system.width": "64"}
    system(study, "late_fusion", [[[1, 1], [1, 1]]] * 5, system="aaaaaaaaaa", settings=twin)
    system(study, "late_fusion", [[[1, 1], [1, 1]]] * 5, system="bbbbbbbbbb", settings=twin)
    assert {name for name in rows(build(study)) if "fusion" in name} == {
        "late_fusion",
        "late_fusion model.system.width=128 trainer=cpu",
        "late_fusion model.system.width=64 trainer=cpu [aaaaaaaa]",
        "late_fusion model.system.width=64 trainer=cpu [bbbbbbbb]",
    }


def test_namesakes_that_settings_do_not_tell_apart_have_their_variants_names(study, system):
    for step, settings in (("baseline", {}), ("whole", {}), ("lstm", {"model.step": "lstm"})):
        system(study, "bilstm", [[[1, 1], [1, 1]]] * 5, system=f"{step}12345678",
               settings=settings, variant=f"bilstm {step}")  # fmt: skip
    found = {name for name in rows(build(study)) if "bilstm" in name}
    assert found == {"bilstm baseline", "bilstm whole", "bilstm lstm"}


def test_the_same_fold_twice_is_refused(study, a_run):
    a_run(study, "speech_only", [[1, 1], [0, 2]], fold=2, key="copy")
    with pytest.raises(InputError, match=r"copy .*speech_only, seed 1, fold 2; remove one"):
        build(study)


def test_warnings(study, system, a_run):
    system(study, "text_only", [[[2, 0], [0, 2]]] * 5, text_source="asr:base",
           git={"commit": "def456", "dirty": True}, split_digest="other", seed=2,
           metrics={"test/ua": 0.9, "test/wa": 1.0})  # fmt: skip
    system(study, "late_fusion", [[[2, 0], [0, 2]]] * 5, text_source="human", seed=2)
    (table,) = build(study).tables
    said = "\n".join(table.warnings)
    assert "2 commits: abc123, def456" in said
    assert "5 of 30 runs come from code with uncommitted changes" in said
    assert "different sources: asr:base, human" in said
    assert "seed 2, fold 1: the runs were trained on 2 different splits" in said
    assert (
        "rows were run with different seeds: [1] speech_only; [1, 2] late_fusion; [2] text_only"
    ) in said
    assert "majority" not in said
    assert "(text_only, fold 1): result.json says test/ua 0.9000, its predictions 1.0000" in said
    assert "test/wa" not in said


def test_an_orderly_study_has_no_warnings(study):
    assert build(study).tables[0].warnings == ()


def test_columns_that_other_programs_rely_on(study):
    promised = "model data protocol n_runs ua_mean ua_sd ua_pooled wa_mean wa_sd wa_pooled"
    records = summary(build(study))
    assert list(records[0])[:11] == [*promised.split(), "f1_macro_mean"]
    assert json.loads(json.dumps(as_json(build(study))))["rows"][0]["model"] == "late_fusion"


def test_intervals_do_not_depend_on_the_other_rows(study, system):
    before = rows(build(study))["speech_only"].interval
    system(study, "text_only", [[[2, 0], [0, 2]]] * 5)
    assert rows(build(study))["speech_only"].interval == before


def test_a_fold_without_a_class_is_said_and_pooled_scores_are_over_all(tmp_path, a_run):
    a_run(tmp_path, "m", [[2, 0], [0, 0]], fold=1, n_folds=2, metrics={"test/recall_sad": None})
    a_run(tmp_path, "m", [[1, 1], [1, 3]], fold=2, n_folds=2, metrics={"test/recall_sad": 0.75})
    (table,) = build(tmp_path).tables
    (row,) = table.rows
    assert row.mean["ua"] == pytest.approx((1 + (0.5 + 0.75) / 2) / 2)
    assert row.pooled["ua"] == pytest.approx((3 / 4 + 3 / 4) / 2)
    assert [line for line in table.warnings if "Folds without a class: 1 (sad)" in line]


def test_what_the_protocol_leaves_out_by_label_stands_below_the_title(tmp_path, system):
    balance = {"rows": 440, "labels": {"fea": 80, "sur": 80}}
    system(tmp_path, "m", [[[1, 1], [1, 3]]], n_folds=1, balance=balance)
    (table,) = build(tmp_path).tables
    assert table.notes.endswith("Of 440 rows it leaves out, by label: fea 80, sur 80.")
