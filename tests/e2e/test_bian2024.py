"""The experiments of Bian 2024, cut down to one fold and two epochs of the tones."""

import json

import pytest

from sermm.cli.main import main


@pytest.fixture(scope="module")
def encoders(tmp_path_factory, save_encoders):
    return save_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.mark.parametrize(
    ("experiment", "models"),
    [
        ("replication", {"single_gate", "cmgi_released"}),
        ("regularised", {"single_gate", "cmgi_released"}),
        ("regularised_early_stopping", {"single_gate", "cmgi_released"}),
        ("comparison", {"single_gate", "cmgi", "caf", "caf_text"}),
    ],
)
def test_every_system_of_an_experiment_trains_and_is_reported(
    experiment, models, encoders, corpus_words, tmp_path, capsys
):
    speech, text = encoders
    words = [
        *corpus_words,
        f"experiment=bian2024/{experiment}",
        f"runs_dir={tmp_path}",
        f"encoder.speech.id={speech}",
        f"encoder.text.id={text}",
        "text.source=human",
        "protocol=groups5",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=2",
        "trainer.batch_size=12",
        "fold=1",
        "seed=0",
    ]
    assert main(["train", *words]) == 0
    assert "FAILED" not in capsys.readouterr().err
    family = experiment.partition("_")[0]
    study = f"bian2024_{family}"
    found = [json.loads(p.read_text()) for p in (tmp_path / study).glob("*/result.json")]
    assert {result["model"] for result in found} == models
    replicated = family != "comparison"
    for result in found:
        frozen = result["parameters"]["total"] - result["parameters"]["trainable"]
        # The embedding of masked frames is trained where frames are masked; all else is.
        assert frozen == (0 if replicated else 16)
        assert (result["augment"] is not None) == (experiment == "regularised")
        assert (result["selection"] == "last") == (experiment == "replication")
        assert ("other_epoch" in result) == (experiment == "replication")
        step = {"regularised": "cross_validation", "regularised_early_stopping": "early_stopping"}
        assert result["settings"].get("step") == step.get(experiment)
    assert main(["report", study, f"runs_dir={tmp_path}", "allow_missing=true"]) == 0
    assert ("By epoch" in capsys.readouterr().out) == (experiment == "replication")
    page = (tmp_path / study / "report" / "tables.md").read_text()
    assert ("### By epoch" in page) == (experiment == "replication")
    # On another corpus than the paper's only a whole table is shown.
    assert ("Proposed (single layer)" in page) == (experiment == "comparison")
    # The log of the paper beside ours, and ours up to the second epoch.
    assert "57.89" in page
