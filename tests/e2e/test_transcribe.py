"""`sermm transcribe` as a user gives it, and training on its texts."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from sermm.cli.main import main
from sermm.recognisers.ctc import CTCModel

TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CTC model with random weights, as save_pretrained leaves it."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("asr") / "tiny-960h"
    config = Wav2Vec2Config(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        vocab_size=len(TOKENS),
        pad_token_id=0,
    )
    model = Wav2Vec2ForCTC(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(50)
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    return folder


@pytest.fixture
def words(corpus_words, folder, tmp_path):
    given = [word for word in corpus_words if not word.startswith("cache_dir=")]
    return [*given, f"cache_dir={tmp_path / 'cache'}", f"recogniser.id={folder}", "accelerator=cpu"]


def as_json(words, capsys):
    assert main(["transcribe", *words, "format=json", "texts=true"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_second_call_takes_all_from_the_store(words, capsys, monkeypatch):
    first = as_json(words, capsys)
    assert (first["utterances"], first["recognised"], first["stored"]) == (60, 60, 0)
    assert first["text_source"] == "asr:tiny-960h"
    assert first["identity"]["weights"].startswith("folder:")
    # Every transcript is "I am <word> today".
    assert (first["wer"]["all"]["words"], first["wer"]["all"]["utterances"]) == (240, 60)
    assert {name: part["words"] for name, part in first["wer"]["class"].items()} == {
        "ang": 60,
        "hap": 60,
        "neu": 60,
        "sad": 60,
    }
    assert any(first["texts"].values())

    def fail(self):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(CTCModel, "load", fail)
    second = as_json(words, capsys)
    assert (second["recognised"], second["stored"]) == (0, 60)
    assert (second["texts"], second["wer"]) == (first["texts"], first["wer"])


def test_the_table_says_what_to_do_next(words, capsys):
    assert main(["transcribe", *words]) == 0
    printed = capsys.readouterr().out
    assert "60 recordings recognised, 0 taken from the store" in printed
    assert "class ang" in printed
    assert "talker t0" in printed
    assert "Languages" not in printed
    assert "x real time" in printed
    assert "text.source=asr:tiny-960h" in printed


def test_what_cannot_be_scored_is_said(words, tones, tmp_path, capsys):
    shutil.copytree(tones.parent, tmp_path / "tones", ignore=shutil.ignore_patterns("cache"))
    table = tmp_path / "tones" / "tones.csv"
    lines = table.read_text().splitlines()
    lines[1] = "0ang0.wav,ang,t0,[LAUGHTER]"
    lines[2] = "0ang1.wav,ang,t0,Das kostet 5 $"
    table.write_text("\n".join(lines) + "\n")
    (tmp_path / "tones" / "0ang2.wav").write_bytes(b"RIFF")
    soundfile.write(tmp_path / "tones" / "0hap0.wav", np.zeros(100), 16000)
    assert main(["transcribe", *words, f"data.manifest={table}"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 utterances whose human transcript has no word" in printed
    assert "cannot write 5 (1), $ (1): they occur in 1 human transcripts" in printed
    assert "2 problems of the corpus: not_audio 1, silent 1 0ang2:" in printed
    assert "59 utterances" in printed


def test_a_system_trains_on_the_texts_and_the_run_says_so(words, tmp_path, capsys):
    corpus = [word for word in words if not word.startswith(("recogniser.", "accelerator="))]
    train = [
        "train",
        *corpus,
        "model=text_only",
        "encoder/text=tiny",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=1",
        f"runs_dir={tmp_path / 'runs'}",
        "text.source=asr:tiny-960h",
    ]
    assert main(train) == 2
    assert "there are no transcripts by that name" in capsys.readouterr().err
    summary = as_json(words, capsys)
    assert main(train) == 0
    (result,) = (tmp_path / "runs").glob("*/*/result.json")
    record = json.loads(result.read_text())["text_source_record"]
    assert record["source"] == "asr:tiny-960h"
    assert record["wer"] == summary["wer"]["all"]["wer"]
    assert record["identity"] == summary["identity"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["recogniser=siri"], "siri"),
        (["recogniser.id=/no/such"], "recogniser.id=/no/such: there is no such folder"),
        (["format=xml"], "format=xml: expected table or json"),
        (["accelerator=tpu"], "accelerator=tpu: expected auto, cpu or gpu"),
    ],
)
def test_wrong_use(words, capsys, given, says):
    kept = [word for word in words if not word.startswith("recogniser.")]
    assert main(["transcribe", *kept, *given]) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert "Traceback" not in errors


def test_a_folder_that_lacks_its_tokenizer(words, folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "half")
    (tmp_path / "half" / "vocab.json").unlink()
    assert main(["transcribe", *words, f"recogniser.id={tmp_path / 'half'}"]) == 2
    assert "the folder has no vocab.json" in capsys.readouterr().err
