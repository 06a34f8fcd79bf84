"""The tables of Li 2025 on the demo corpus, cut down to an epoch: all systems, both protocols."""

import json

import pytest
import sentencepiece
import torch
from transformers import DebertaV2Config, DebertaV2Model

from sermm.cli.main import main
from sermm.demo.sentences import vocabulary

pytestmark = pytest.mark.slow

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


@pytest.fixture(scope="module")
def deberta(tmp_path_factory):
    """A small random DeBERTa-v3 with a SentencePiece model, in the files of the released one."""
    folder = tmp_path_factory.mktemp("deberta")
    (folder / "lines").write_text("\n".join(vocabulary()) + "\n")
    sentencepiece.SentencePieceTrainer.train(
        f"--input={folder}/lines --model_prefix={folder}/spm --vocab_size=200 --minloglevel=2 "
        "--hard_vocab_limit=false --pad_id=0 --bos_id=1 --eos_id=2 --unk_id=3 "
        "--pad_piece=[PAD] --bos_piece=[CLS] --eos_piece=[SEP] --unk_piece=[UNK]"
    )
    torch.manual_seed(0)
    config = DebertaV2Config(
        **SIZES,
        vocab_size=256,
        relative_attention=True,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
    )
    DebertaV2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def words(deberta, save_encoders, tmp_path_factory):
    """The experiments as with a hub, but for folders in place of ids, an epoch and a fold."""
    speech, bert = save_encoders(tmp_path_factory.mktemp("encoders"))
    return [
        "hydra/launcher=basic",
        "data=demo",
        "data.utterances=240",
        f"cache_dir={tmp_path_factory.mktemp('cache')}",
        f"encoder.speech.id={speech}",
        f"texts.tuned.id={deberta}",
        f"texts.static.id={bert}",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=1",
        "fold=1,2",
        "seed=0",
    ]


@pytest.fixture(scope="module")
def study(words, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    for table in ("table1", "table2"):
        assert main(["train", f"experiment=li2025/{table}", *words, f"runs_dir={runs}"]) == 0
    return runs / "li2025"


@pytest.fixture(scope="module")
def results(study):
    return [json.loads(path.read_text()) for path in study.glob("*/result.json")]


def test_the_steps_of_table_2_and_the_systems_of_table_1_share_their_runs(results):
    variants = {result["variant"] for result in results}
    steps = {f"deberta_bilstm {step}" for step in ("baseline", "lstm", "deberta", "attention")}
    assert variants == {"wav2vec2_alone frame", "mean_pool text", *steps}
    # Under the leaky protocol the only fold there is, under the other the two that were asked for.
    folds = sorted((r["variant"], r["protocol"], r["fold"]) for r in results)
    expected = [(v, p, f) for v in variants for p, f in PLACES]
    assert folds == sorted(expected)
    assert {r["leaky"] for r in results if r["protocol"] == "random6_leaky"} == {True}


PLACES = [("random6_leaky", 1), ("loso6", 1), ("loso6", 2)]


def test_what_is_trained_is_what_the_step_says(results):
    parameters = {r["variant"]: r["parameters"] for r in results}
    sizes = {step: parameters[f"deberta_bilstm {step}"] for step in ("baseline", "lstm", "deberta")}
    # Static BERT: only what lies above it is trained.
    frozen = {step: p["total"] - p["trainable"] for step, p in sizes.items()}
    assert frozen["baseline"] == frozen["lstm"] > 0
    # Fine-tuned with the residual of equation (2): the pre-trained table is a buffer.
    assert frozen["deberta"] == 0
    assert parameters["deberta_bilstm attention"]["trainable"] > sizes["deberta"]["trainable"]
    assert parameters["wav2vec2_alone frame"]["trainable"] < 400_000


def test_the_report_has_both_protocols_side_by_side_and_says_which_one_leaks(study, capsys):
    words = [study.name, f"runs_dir={study.parent}", "allow_missing=true"]
    assert main(["report", *words]) == 0
    printed = capsys.readouterr().out
    for title in ("Li 2025, Table 1", "Li 2025, Table 2", "Li 2025, Table 3"):
        assert printed.count(title) == 1
    assert "LEAKY" in printed
    page = (study / "report" / "tables.md").read_text()
    (header,) = {
        line
        for grid in page.split("### ")
        if grid.startswith("Li 2025, Table 2")
        for line in grid.splitlines()
        if line.startswith("| row")
    }
    assert "random6" in header
    assert "loso6" in header
