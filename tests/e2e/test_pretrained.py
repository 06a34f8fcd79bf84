"""Hugging Face checkpoints in folders, as a hub or a user would give them: trained, used, moved."""

import json
import shutil

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

from sermm.cli.main import main

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "i",
    "am",
    "furious",
    "glad",
    "plain",
    "today",
]


@pytest.fixture
def folders(tmp_path):
    torch.manual_seed(0)
    speech, text = tmp_path / "speech", tmp_path / "text"
    conv = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16}
    config = Wav2Vec2Config(**SIZES, **conv, num_conv_pos_embedding_groups=2)
    Wav2Vec2Model(config).save_pretrained(speech)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(speech)
    BertModel(BertConfig(vocab_size=len(VOCABULARY), **SIZES)).save_pretrained(text)
    words = tmp_path / "vocab.txt"
    words.write_text("\n".join(VOCABULARY))
    BertTokenizerFast(vocab=str(words)).save_pretrained(text)
    return speech, text


@pytest.fixture
def words(corpus_words, folders, tmp_path):
    speech, text = folders
    given = [f"encoder.speech.id={speech}", f"encoder.text.id={text}", "encoder.speech.layers=all"]
    more = ["trainer.max_epochs=1", "trainer.accelerator=cpu", f"runs_dir={tmp_path / 'runs'}"]
    return ["train", *corpus_words, *given, *more]


@pytest.mark.parametrize(
    ("features", "kept"),
    [("features=finetune", True), ("features.trainable=1", True), ("features=frozen", False)],
)
def test_a_run_is_used_later_with_or_without_its_encoders(
    words, folders, tones, tmp_path, capsys, features, kept
):
    assert main([*words, features]) == 0
    (run,) = (tmp_path / "runs/default").glob("[0-9a-f]*")
    record = json.loads((run / "result.json").read_text())
    assert (record["parameters"]["trainable"] < record["parameters"]["total"]) or kept
    weights = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert any(name.startswith("speech.") for name in weights) == kept
    capsys.readouterr()
    use = ["predict", str(run), str(tones.parent / "0sad1.wav"), "text=i am glad", "format=json"]
    assert main(use) == 0
    before = json.loads(capsys.readouterr().out)
    for folder in folders:
        shutil.move(folder, folder.with_name(f"{folder.name}-gone"))
    assert main(use) == (0 if kept else 2)
    captured = capsys.readouterr()
    if kept:
        assert json.loads(captured.out) == before
    else:
        assert str(folders[0]) in captured.err
