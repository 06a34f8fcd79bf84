"""What the experiments beside the tables of Zhao 2022 ask for."""

from omegaconf import OmegaConf

from sermm.configuration.compose import conf_dir
from sermm.configuration.verbs import RunConfig


def asked(name, *words):
    return RunConfig.of([f"experiment=zhao2022/{name}", *words])


def given(name, key):
    """What an experiment says itself, without what it shares."""
    path = conf_dir() / "experiment/_zhao2022.yaml"
    return OmegaConf.select(OmegaConf.load(path), f"{name}.{key}")


def test_pepinos_figure_is_a_cell_of_its_own_protocol_and_recipe():
    config = asked("pepino")
    assert config.protocol.name == "loso4_align"
    assert (config.features.mode, config.features.normalise.speech) == ("cached", "global")
    assert config.model.learning.lr == 1e-4
    assert (config.trainer.batch_size, config.trainer.max_epochs) == (32, 100)
    assert (config.trainer.patience, config.trainer.monitor) == (4, "loss")
    (frame,) = config.model.system.given("streams").values()
    assert frame.given("layers") == "all"
    (table,) = config.model.papers
    assert (table["source"], table["protocol"]) == ("Pepino 2021", "loso4_align")
    assert [cell["value"] for cell in table["cells"]] == [65.80]
    # pooled, which no score of the main table is
    assert config.model.published == ()
    # No run of another recipe stands for it.
    other = RunConfig.of(["model=linear", "protocol=loso4_align", "features=cached"])
    assert "Pepino 2021" not in {one["source"] for one in other.model.papers}


def test_both_encoders_are_trained_in_what_zhao_leaves_for_later():
    for model, streams in (
        ("coattention", ("text", "frame", "phone")),
        ("late_fusion", ("text", "frame", "syllable")),
    ):
        config = asked("finetuned", f"model={model}")
        assert config.model.streams == streams
        assert config.features.mode == "finetune"
        encoders = config.model.system.given("streams").values()
        assert {one.innermost.given("trainable") for one in encoders} == {"all"}
        assert {one.innermost.given("layers") for one in encoders} == {"transformer"}
        assert config.trainer.batch_size * config.trainer.accumulate == 32
        # Frozen encoders are what the paper's cells are of.
        assert not config.model.papers
    assert given("finetuned", "hydra.sweeper.params.model") == "coattention,late_fusion"
    assert asked("finetuned_smoke").data.name == "demo"
    assert asked("finetuned_smoke").features.mode == "finetune"
