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
    study = f"bian2024_{experiment}"
    found = [json.loads(p.read_text()) for p in (tmp_path / study).glob("*/result.json")]
    assert {result["model"] for result in found} == models
    for result in found:
        frozen = result["parameters"]["total"] - result["parameters"]["trainable"]
        # All but the embedding of masked frames is trained, and in the regularised recipe all but
        # the convolutional front end.
        assert frozen > 16 if experiment == "regularised" else frozen == 16
        assert (result["augment"] is not None) == (experiment == "regularised")
    assert main(["report", study, f"runs_dir={tmp_path}", "allow_missing=true"]) == 0
    page = (tmp_path / study / "report" / "tables.md").read_text()
    # On another corpus than the paper's only a whole table is shown.
    assert ("Proposed (single layer)" in page) == (experiment == "comparison")
    # The log of the paper beside ours, and ours up to the second epoch.
    assert "57.89" in page
