"""Which cells of a paper's tables a system is, and whether an experiment fills its table."""

import itertools

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from hydra_plugins.sermm_experiments import papers
from sermm.configuration.compose import conf_dir
from sermm.configuration.identity import run_key
from sermm.configuration.papers import combined, figures, tables_with, variant_of
from sermm.configuration.verbs import DataConfig, RunConfig
from sermm.engine.assembly.encoders import encoder_configs
from sermm.engine.setup import key_of, recipe, settings_of
from sermm.runs.reading.papers import PaperTable
from sermm.runs.setup import EncoderSetup, Setup, declared, unlike

TABLE = {
    "source": "A 2020",
    "title": "Table 1",
    "metric": "ua",
    "protocol": "loso4",
    "data": "iemocap",
    "note": "",
    "cells": [
        {"row": "x", "column": "UA", "system": "gate", "value": 70.0},
        {"row": "y", "column": "UA", "system": None, "value": 71.0},
    ],
}


def model_of(*words):
    small = ["encoder/speech=tiny", "encoder/text=tiny"]
    return RunConfig.of([*small, *words]).model


def test_the_figure_is_that_of_the_streams_in_any_order():
    def published(*more):
        found = model_of("model=late_fusion", *more).published
        return [(f["value"], f["source"]) for f in found]

    assert published() == [(74.88, "Zhao 2022, Table 2: BERT, F, Late Fusion")]
    # Table 3 repeats the figure of Table 2, which is said once.
    assert published("model.streams=[syllable,frame,text]") == [
        (75.80, "Zhao 2022, Table 2: BERT, F+S, Late Fusion")
    ]
    assert published("model.streams=[text]") == []


def test_single_streams_are_the_papers_linear_systems_under_either_name():
    for words in (
        ["model=speech_only", "model.level=word"],
        ["model=linear", "model.streams=[word]"],
    ):
        model = model_of(*words)
        assert model.variant == "linear word"
        assert [table["title"] for table in model.papers] == ["Table 1"]
        assert [figure["value"] for figure in model.published] == [64.48]


def test_a_system_without_streams_keeps_its_name():
    assert variant_of({"variant": "single_gate"}) == "single_gate"
    assert variant_of({"variant": "late_fusion", "streams": ["text", "word"]}) == (
        "late_fusion text+word"
    )
    assert combined(["b two", "a one"]) == "combination of a one, b two"


def test_only_tables_with_a_cell_of_the_system_are_its_own():
    assert tables_with("gate", [TABLE]) == [TABLE]
    assert tables_with("gates", [TABLE]) == []
    twice = {**TABLE, "title": "Table 2"}
    (figure,) = figures("gate", [TABLE, twice])
    assert figure == {
        "source": "A 2020, Table 1: x, UA",
        "metric": "ua",
        "protocol": "loso4",
        "data": "iemocap",
        "value": 70.0,
        "note": "",
    }


def test_a_figure_may_be_of_another_protocol_than_its_table():
    cell = {"row": "x", "column": "WA", "system": "caf", "value": 1.0, "protocol": "unknown"}
    (figure,) = figures("caf", [{**TABLE, "cells": [cell]}])
    assert figure["protocol"] == "unknown"


def experiments():
    """Those named as a table of the papers, smoke or not."""
    own = ("/table", "/gdes")
    found = [name for name, _ in papers.experiments() if any(one in name for one in own)]
    assert len(found) >= 6
    return found


def jobs(experiment):
    """The words of every job of the experiment's sweep, first fold and seed only."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = hydra_compose("train", [f"experiment={experiment}"], return_hydra_config=True)
    params = OmegaConf.to_container(cfg.hydra.sweeper.params)
    lines = [f"{key}={value}" for key, value in params.items() if key not in ("fold", "seed")]
    parsed = OverridesParser.create().parse_overrides(lines)
    choices = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [line]
        for o, line in zip(parsed, lines, strict=True)
    ]
    assert {"fold", "seed"} <= set(params)
    return params, [[f"experiment={experiment}", *job] for job in itertools.product(*choices)]


def printed(paper):
    """The tables of a paper by name."""
    return OmegaConf.to_container(OmegaConf.load(conf_dir() / "paper" / f"{paper}.yaml"))


@pytest.mark.parametrize("experiment", experiments())
def test_an_experiment_fills_every_cell_of_its_table(experiment):
    params, words = jobs(experiment)
    configs = [RunConfig.of(job) for job in words]
    variants = {config.model.name: config.model.variant for config in configs}
    filled = {config.model.variant for config in configs}
    wished = configs[0].combine
    if wished:
        filled.add(combined([variants[name] for name in wished.parts]))
    paper, _, name = experiment.removesuffix("_smoke").partition("/")
    if name in printed(paper):
        cells = printed(paper)[name]["cells"]
        assert filled == {cell["system"] for cell in cells if cell["system"]}
    else:
        assert all(paper_of(config.model.curves) == {paper} for config in configs)
    # 25 runs a cell in the papers, five on the demo corpus.
    assert params["seed"] == ("0" if experiment.endswith("_smoke") else "0,1,2,3,4")
    assert params["fold"] == "range(1,6)"


@pytest.mark.parametrize(
    "experiment",
    [
        *(one for one in experiments() if "smoke" not in one),
        "zhao2022/pepino",
        "li2025/gdes",
        "bian2024/replication",
    ],
)
def test_an_experiment_runs_what_its_table_declares(experiment):
    """So that its runs have a difference to the paper's figures, and no others."""
    params, words = jobs(experiment)
    protocol = params.get("protocol", "").split(",")[0]
    for config in map(RunConfig.of, words):
        if protocol not in (config.protocol.given("name"), ""):
            continue
        for table in config.model.papers:
            expected = declared(table["setup"], config.model.variant)
            assert unlike(setup_from(config), expected) == [], table["title"]
            assert n_runs(params, experiment) >= table["setup"]["runs"]


def n_runs(params, experiment):
    """How many runs a cell gets; the split of Li 2025 has one fold."""
    return len(params["seed"].split(",")) * (1 if experiment.startswith("li2025") else 5)


def setup_from(config):
    """What a run of this configuration would say of itself, without loading an encoder."""
    found = []
    for path, wrapped in encoder_configs(config.model).items():
        one = wrapped.innermost
        origin = one.object.origin(**one.arguments)
        key = key_of(config, path, one)
        found.append(
            EncoderSetup(
                key, one.object.modality, origin.name, origin.weights, None, 1, settings_of(one)
            )
        )
    return Setup(config.model.variant, tuple(found), recipe(config))


def paper_of(curves):
    """Whose figures by epoch they are, as its folder is named."""
    return {curve["source"].replace(" ", "").lower() for curve in curves}


@pytest.mark.parametrize("paper", [file.stem for file in sorted((conf_dir() / "paper").glob("*"))])
def test_the_report_can_read_every_table_of_a_paper(paper):
    for table in printed(paper).values():
        read = PaperTable.of(table)
        assert len(read.cells) == len(table["cells"])


@pytest.mark.parametrize("table", ["table1", "table2", "table3", "pair", "gdes"])
def test_a_leaky_protocol_is_compared_beside_its_honest_twin(table):
    leaky = printed("li2025")[table]
    names = leaky["protocol"], leaky["twin"]
    protocols = [DataConfig.of([f"protocol={name}"]).protocol for name in names]
    assert [protocol.has("leaky") for protocol in protocols] == [True, False]
    assert len({tuple(protocol.given("classes")) for protocol in protocols}) == 1


def test_only_scores_are_figures_beside_the_rows_of_a_system():
    """Parameters and the F1 of two classes have no interval to be judged by."""
    tables = list(printed("li2025").values())
    found = figures("deberta_bilstm attention", tables)
    assert [(f["metric"], f["value"]) for f in found] == [
        ("wa", 83.5),
        ("f1_macro", 82.1),
        ("f1_weighted", 82.1),
    ]
    assert found[1]["source"] == "Li 2025, Table 1: Ours, F1-score (macro)"
    # A gain is no score of the system that has it.
    assert figures("mean_pool gdes text", tables) == []


def test_the_gain_of_gdes_is_that_of_two_runs_of_the_text_branch():
    cells = printed("li2025")["gdes"]["cells"]
    assert [(c["system"], c.get("minus"), c["value"]) for c in cells[::2]] == [
        ("mean_pool text", None, None),
        ("mean_pool gdes text", None, None),
        ("mean_pool gdes text", "mean_pool text", 4.2),
    ]
    found = {
        gdes: RunConfig.of(["experiment=li2025/gdes", f"encoder.text.gdes={gdes}"])
        for gdes in ("none", "full")
    }
    alone = RunConfig.of(["experiment=li2025/table1", "model=mean_pool"])
    assert run_key(found["none"]) == run_key(alone) != run_key(found["full"])
    assert [one.model.variant for one in found.values()] == [c["system"] for c in cells[0:4:2]]
    # Table 1's DeBERTa is an ordinary fine-tuned one.
    encoder = alone.model.system.given("streams")["text"]
    assert [encoder.given(key) for key in ("id", "trainable", "gdes")] == [
        "microsoft/deberta-v3-small",
        "all",
        "none",
    ]


def test_the_baseline_of_the_pair_has_a_row_and_both_readings_of_its_gain_a_note():
    pair = printed("li2025")["pair"]
    rows = [(c["system"], c["value"]) for c in pair["cells"]]
    assert (
        rows == [("deberta_bilstm baseline", None)] * 2 + [("deberta_bilstm attention", 79.8)] * 2
    )
    assert f"{79.8 / 1.213:.1f}" in pair["note"]
    assert f"{79.8 - 21.3:.1f}" in pair["note"]


SYSTEM = {"table1": ["model=mean_pool"]}


@pytest.mark.parametrize("experiment", ["table1", "table2", "gdes", "wav2vec2_audio"])
def test_li_2025_chooses_by_accuracy_and_hears_utterances_whole(experiment):
    trainer = RunConfig.of([f"experiment=li2025/{experiment}", *SYSTEM.get(experiment, [])]).trainer
    assert (trainer.monitor, trainer.max_seconds) == ("wa", None)


def test_the_speech_of_li_2025_is_mfcc_and_in_the_variant_wav2vec2():
    words = ["experiment=li2025/table2", "model.step=attention"]
    speech = RunConfig.of(words).model.system.given("speech")
    assert speech.class_name == "MfccFrames"
    variant = RunConfig.of(["experiment=li2025/wav2vec2_audio"]).model
    speech, text = (variant.system.given(name) for name in ("speech", "text"))
    assert speech.class_name == "HFSpeechEncoder"
    given = [speech.given(key) for key in ("id", "layers", "trainable")]
    assert given == ["facebook/wav2vec2-base", "all", "none"]
    assert (text.given("gdes"), variant.system.given("fusion")) == ("full", "attention")
    # The paper has no figure of it.
    assert variant.papers == variant.published == variant.curves == ()


def test_zhao_2022_normalises_speech_alone_and_hears_utterances_whole():
    for table in ("table1", "table2", "table3"):
        config = RunConfig.of([f"experiment=zhao2022/{table}", "model=late_fusion"])
        assert config.features.normalise.plain == {"speech": "global", "text": "none"}
        assert config.trainer.max_seconds is None
