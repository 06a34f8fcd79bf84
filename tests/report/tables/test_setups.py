"""What a table says its rows were run with, and cells that were not run as a paper's."""

import pytest

from sermm.report.output.text import inserted, markdown, table_text
from sermm.report.tables.grids import setup_grid
from sermm.report.tables.paper_grids import paper_grids
from sermm.report.tables.tables import as_json, build, summary

SPEECH = [[[1, 1], [0, 2]]] * 5
W2V = "facebook/wav2vec2-base"


def encoder(name=W2V, weights="pre-trained", modality="speech", **settings):
    return {
        "key": f"encoder.{modality}", "modality": modality, "name": name, "weights": weights,
        "revision": "0b5b8e868dd8", "parameters": 94_371_712,
        "settings": {"layers": "transformer", "trainable": "none", **settings},
    }  # fmt: skip


RECIPE = {
    "features.mode": "cached", "features.normalise.speech": "global", "text.source": "human",
    "model.learning.optimizer": "Adam", "model.learning.lr": 0.001,
    "model.learning.encoder_lr": 1e-5, "model.learning.weight_decay": 0.0,
    "trainer.batch_size": 32, "trainer.batch_seconds": None, "trainer.max_epochs": 100,
    "trainer.patience": 4, "trainer.monitor": "loss", "trainer.precision": "32-true",
    "model.system.dropout": 0.2,
}  # fmt: skip
DECLARED = {
    "runs": 5, "encoder.speech": W2V, "features.mode": ["cached", "frozen"],
    "trainer.max_epochs": 100, "by_system": {"co": {"model.learning.lr": 0.001}},
}  # fmt: skip


def setup(*encoders, variant="co F", changed=(), **recipe):
    return {
        "variant": variant, "encoders": list(encoders or [encoder()]),
        "recipe": {**RECIPE, **recipe}, "changed": list(changed),
    }  # fmt: skip


def grid_of(study):
    (table,) = build(study).tables
    (grid,) = paper_grids(table)
    return grid


@pytest.fixture
def ran(variant, paper, cells):
    def wrote(*setups, name="co F", declares=DECLARED, confusions=SPEECH, **changes):
        table = paper(*cells[:3], setup=declares)
        variant(name, confusions, papers=[table], setup=list(setups), **changes)

    return wrote


def test_runs_as_the_papers_have_a_difference(tmp_path, ran):
    ran(setup())
    grid = grid_of(tmp_path)
    assert grid.rows[0][1:4] == ("75.00 ± 0.00", "74.28", "+0.72")
    assert not any("Not compared" in line for line in grid.footnotes)


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (setup(encoder("mfcc and BiLSTM", "random", trainable="all")),
         f"encoder.speech mfcc and BiLSTM (from scratch), the paper's {W2V}"),
        (setup(**{"trainer.max_epochs": 1}), "trainer.max_epochs=1, the paper's 100"),
        (setup(**{"model.learning.lr": 0.01}), "model.learning.lr=0.01, the paper's 0.001"),
        (setup(**{"features.mode": "finetune"}),
         "features.mode=finetune, the paper's cached or frozen"),
    ],
)  # fmt: skip
def test_runs_with_something_else_are_marked_and_have_no_difference(tmp_path, ran, own, says):
    ran(own)
    grid = grid_of(tmp_path)
    assert grid.rows[0][1:4] == ("75.00 ± 0.00 [a]", "74.28", "–")
    assert grid.footnotes[-1] == f"[a] Not compared: {says}."
    (record, *_) = as_json(build(tmp_path))["tables"][0]["papers"]
    assert (record["difference"], record["run_otherwise"]) == (None, [says])
    for text in (table_text(build(tmp_path)), markdown(build(tmp_path)).replace("\\", "")):
        assert f"[a] Not compared: {says}." in text


def test_fewer_runs_than_the_papers_have_no_difference(tmp_path, ran):
    ran(setup(), declares={**DECLARED, "runs": 25})
    grid = grid_of(tmp_path)
    assert grid.rows[0][3] == "–"
    assert grid.footnotes[-1] == "[a] Not compared: 5 runs, the paper's 25."


def test_runs_that_do_not_say_and_tables_that_do_not_declare_are_not_compared(tmp_path, ran):
    ran()
    assert "5 of 5 runs, made by an older version" in grid_of(tmp_path).footnotes[-1]


def test_a_table_that_declares_nothing_has_no_difference(tmp_path, ran):
    ran(setup(), declares=None)
    grid = grid_of(tmp_path)
    assert grid.rows[0][3] == "–"
    assert grid.footnotes[-1].endswith("what the paper's system was run with is not declared.")


def test_every_part_of_a_combination_is_compared_by_its_own_name(tmp_path, ran):
    other = setup(variant="late F", **{"model.learning.lr": 0.5})
    ran(setup(), other)
    assert grid_of(tmp_path).rows[0][3] == "+0.72"


def test_a_figure_of_a_protocol_that_is_not_known_has_no_difference(
    tmp_path, variant, paper, cells
):
    first = {**cells[0], "protocol": "unknown"}
    variant("co F", SPEECH, papers=[paper(first, cells[2])])
    variant("co F+P", SPEECH, papers=[paper(first, cells[2])])
    grid = grid_of(tmp_path)
    assert [row[1:4] for row in grid.rows] == [
        ("75.00 ± 0.00 [a]", "74.28", "–"),
        ("75.00 ± 0.00", "74.57", "+0.43"),
    ]
    assert grid.footnotes[-1] == "[a] Not compared: the paper's protocol is not known."


def test_what_all_systems_share_is_said_once_and_the_rest_in_the_rows(tmp_path, system):
    text = encoder("bert-base-uncased", modality="text")
    system(tmp_path, "co", SPEECH, setup=[setup()])
    system(tmp_path, "late", SPEECH, setup=[setup(text, variant="late")], text_source="human")
    system(tmp_path, "majority", SPEECH, setup=[{**setup(), "encoders": [], "recipe": {}}])
    (table,) = build(tmp_path).tables
    grid = setup_grid(table)
    assert grid.header == ("model", "trained", "head", "whole", "speech", "text")
    assert grid.rows[0][4:] == (f"{W2V} (0b5b8e868dd8), layers transformer, frozen", "–")
    assert grid.rows[1][4:] == (
        "–",
        "bert-base-uncased (0b5b8e868dd8), layers transformer, frozen; human",
    )
    assert "features: cached, normalised: speech global" in grid.note
    assert "Adam, lr 0.001; batch 32; at most 100 epochs by loss, patience 4; 32-true" in grid.note


def test_a_recipe_that_is_not_the_models_own_is_said(tmp_path, system):
    own = setup(changed=["model.system.dropout", "trainer.max_epochs"])
    system(tmp_path, "co", SPEECH, setup=[own])
    assert "not the model's own: system.dropout=0.2" in setup_grid(build(tmp_path).tables[0]).note


def test_every_output_says_what_was_run(tmp_path, system):
    system(tmp_path, "co", SPEECH, setup=[setup()])
    report = build(tmp_path)
    page = f"<!-- sermm report {report.study} -->\n<!-- end -->"
    for text in (table_text(report), markdown(report), inserted(page, report)):
        assert "What was run" in text
        assert W2V in text
    (record,) = summary(report)
    assert record["encoders"].startswith(W2V)
    assert record["recipe"].startswith("Adam, lr 0.001")


def test_an_adapter_is_said_with_its_rate(tmp_path, system):
    adapter = encoder(trainable="all", adapter="LoRA rank 8 (q_proj, v_proj)")
    system(tmp_path, "co", SPEECH, setup=[setup(adapter, **{"model.learning.adapter_lr": 0.0005})])
    said = setup_grid(build(tmp_path).tables[0]).note
    assert "LoRA rank 8 (q_proj, v_proj)" in said
    assert "lr 0.001, adapters 0.0005" in said
    assert "encoders 1e-05" not in said
