import json
import shutil
import time
from contextlib import suppress

import huggingface_hub
import pytest
from safetensors.torch import load_file, save_file

from sermm.core.errors import InputError
from sermm.encoders.hf.loading import staged
from sermm.encoders.hf.speech import HFSpeechEncoder
from sermm.encoders.hf.text import HFTextEncoder


@pytest.fixture
def speech_copy(wav2vec2_folder, tmp_path):
    return shutil.copytree(wav2vec2_folder, tmp_path / "speech")


@pytest.fixture
def text_copy(bert_folder, tmp_path):
    return shutil.copytree(bert_folder, tmp_path / "text")


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Online as far as the settings say, but nothing answers; counts the requests."""
    requests = []

    def refuse(url, **_):
        requests.append(url)
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refuse)
    return requests


@pytest.mark.parametrize(
    ("encoder", "key"), [(HFSpeechEncoder, "encoder.speech"), (HFTextEncoder, "encoder.text")]
)
def test_without_a_hub_the_error_names_the_id_and_the_ways_out(no_network, encoder, key):
    begun = time.monotonic()
    with pytest.raises(InputError) as caught:
        encoder("nobody/has-this-encoder")
    assert time.monotonic() - begun < 5, "retries of the hub client"
    assert len(no_network) == 1
    assert no_network[0].endswith("nobody/has-this-encoder/resolve/main/config.json")
    message = str(caught.value)
    assert message.startswith(f"{key}.id=nobody/has-this-encoder: neither on this machine")
    assert f"{key}.id=/path/to/folder" in message
    assert "HF_HOME" in message
    assert "Name or service not known" in message


def test_a_revision_is_asked_for(no_network):
    with pytest.raises(InputError):
        HFTextEncoder("nobody/has-this-encoder", revision="abc123")
    assert "/resolve/abc123/" in no_network[0]


def test_offline_nothing_is_asked_of_the_hub(no_network, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"encoder.text.id=nobody/has-this"):
        HFTextEncoder("nobody/has-this-encoder")
    assert no_network == []


@pytest.mark.parametrize("wrong", ["two words/x", "a/b/c", ""])
def test_an_impossible_id_is_refused(no_network, wrong):
    with pytest.raises(InputError, match=r"encoder.text.id="):
        HFTextEncoder(wrong)


def test_assets_that_are_not_there_are_named_as_such(tmp_path):
    with pytest.raises(InputError, match=r"encoder.text.assets=.*gone: there is no such folder"):
        HFTextEncoder("bert-base-uncased", assets=tmp_path / "gone")


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"encoder.speech.id=.*nowhere: there is no such folder"):
        HFSpeechEncoder(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("config.json", "config.json"),
        ("model.safetensors", "model.safetensors or "),
        ("preprocessor_config.json", r"preprocessor_config.json.*encoder.speech.normalise="),
    ],
)
def test_a_speech_folder_without_a_file(speech_copy, missing, named):
    (speech_copy / missing).unlink()
    with pytest.raises(InputError, match=rf"encoder.speech.id={speech_copy}: .* no {named}"):
        HFSpeechEncoder(str(speech_copy))


def test_without_a_preprocessor_the_user_can_say_how(speech_copy):
    (speech_copy / "preprocessor_config.json").unlink()
    assert HFSpeechEncoder(str(speech_copy), normalise=True).normalise


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_text_folder_without_a_file(text_copy, missing):
    (text_copy / missing).unlink()
    with pytest.raises(InputError, match=rf"encoder.text.id={text_copy}: .* no .*{missing}"):
        HFTextEncoder(str(text_copy), max_tokens=8)


def test_a_vocabulary_without_words(text_copy):
    (text_copy / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    with pytest.raises(InputError, match="no words"):
        HFTextEncoder(str(text_copy), max_tokens=8)


def test_a_vocabulary_larger_than_the_embedding(text_copy):
    with (text_copy / "vocab.txt").open("a") as file:
        file.write("more\n")
    with pytest.raises(InputError, match=r"18 words, its embedding 17"):
        HFTextEncoder(str(text_copy), max_tokens=8)


@pytest.mark.parametrize("kept", [0, 5, 1000])
def test_weights_cut_short(speech_copy, kept):
    file = speech_copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(InputError, match=rf"{speech_copy}: the files of this folder cannot be"):
        HFSpeechEncoder(str(speech_copy))


def test_a_config_cut_short(text_copy):
    file = text_copy / "config.json"
    file.write_text(file.read_text()[:50])
    with pytest.raises(InputError, match=rf"{text_copy}: the files of this folder cannot be"):
        HFTextEncoder(str(text_copy), max_tokens=8)


def test_weights_missing_from_the_checkpoint(text_copy):
    file = text_copy / "model.safetensors"
    weights = load_file(file)
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 weights .*encoder.layer.1.output.dense.weight"):
        HFTextEncoder(str(text_copy), max_tokens=8)


def test_weights_of_other_sizes(text_copy):
    file = text_copy / "config.json"
    config = json.loads(file.read_text()) | {"hidden_size": 20}
    file.write_text(json.dumps(config))
    with pytest.raises(InputError, match=rf"{text_copy}: the files of this folder cannot be"):
        HFTextEncoder(str(text_copy), max_tokens=8)


def test_a_model_of_the_other_kind(wav2vec2_folder, bert_folder):
    with pytest.raises(InputError, match=r"is a 'bert' model, expected one of wav2vec2"):
        HFSpeechEncoder(str(bert_folder))
    with pytest.raises(InputError, match=r"is a 'wav2vec2' model, expected one of bert"):
        HFTextEncoder(str(wav2vec2_folder))


def test_a_model_of_the_other_kind_is_told_where_it_belongs(wav2vec2_folder, gpt2_folder):
    with pytest.raises(InputError, match=r"'gpt2' model, .*; it reads text: encoder.text.id"):
        HFSpeechEncoder(str(gpt2_folder))
    with pytest.raises(
        InputError, match=r"expected one of .*albert, electra.*gpt2.*; it hears speech"
    ):
        HFTextEncoder(str(wav2vec2_folder))


@pytest.mark.parametrize("family", ["newest-of-all", "t5"])
def test_a_family_that_nobody_knows_names_those_that_are_known(text_copy, family):
    file = text_copy / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": family}))
    with pytest.raises(InputError, match=rf"is a '{family}' model, expected one of bert, roberta,"):
        HFTextEncoder(str(text_copy), max_tokens=8)


def test_byte_pairs_without_their_merges(gpt2_folder, tmp_path):
    folder = shutil.copytree(gpt2_folder, tmp_path / "gpt2")
    (folder / "merges.txt").unlink()
    with pytest.raises(
        InputError, match=rf"encoder.text.id={folder}: the folder has no merges.txt"
    ):
        HFTextEncoder(str(folder), max_tokens=8)


@pytest.fixture
def sentence_folder(bert_folder, tmp_path):
    """As sentence-transformers has written them: the transformer in a folder of its own."""
    folder = tmp_path / "sentences"
    shutil.copytree(bert_folder, folder / "0_Transformer")
    _modules(folder, "Transformer", "0_Transformer")
    return folder


def _modules(folder, kind, path):
    kinds = f"sentence_transformers.models.{kind}", "sentence_transformers.models.Pooling"
    parts = zip(kinds, (path, "1_Pooling"), strict=True)
    (folder / "modules.json").write_text(json.dumps([{"type": t, "path": p} for t, p in parts]))


def test_of_a_sentence_encoder_the_transformer_is_read(sentence_folder, bert_folder, text_copy):
    encoder = HFTextEncoder(str(sentence_folder), max_tokens=8)
    plain = HFTextEncoder(str(bert_folder), max_tokens=8)
    rows = encoder.tokenize(["I am so happy!"])
    assert rows == plain.tokenize(["I am so happy!"])
    found, expected = encoder.state_dict(), plain.state_dict()
    assert all(found[name].equal(expected[name]) for name in expected)
    described = [HFTextEncoder.described(id=str(f)) for f in (sentence_folder, bert_folder)]
    assert described[0] == described[1]
    assert HFTextEncoder.size(id=str(sentence_folder)) == HFTextEncoder.size(id=str(bert_folder))
    assert HFTextEncoder.origin(id=str(sentence_folder)).name == "sentences"
    # Later ones have it in the folder itself.
    _modules(text_copy, "Transformer", "")
    assert HFTextEncoder(str(text_copy), max_tokens=8).tokenize(["I am so happy!"]) == rows


def test_a_sentence_encoder_without_a_transformer(sentence_folder):
    _modules(sentence_folder, "StaticEmbedding", "0_StaticEmbedding")
    with pytest.raises(InputError, match=r"without a transformer \(modules.json names StaticEmb"):
        HFTextEncoder(str(sentence_folder))
    for broken in ("{", "[1]", '[{"type": "a.Transformer"}]', "3"):
        (sentence_folder / "modules.json").write_text(broken)
        with pytest.raises(InputError, match=r"modules.json of this folder cannot be read"):
            HFTextEncoder(str(sentence_folder))


def test_an_encoder_of_another_sampling_rate(speech_copy):
    file = speech_copy / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sampling_rate": 8000}))
    with pytest.raises(InputError, match="expects 8000 Hz"):
        HFSpeechEncoder(str(speech_copy))


def test_code_of_a_folder_is_not_executed(speech_copy):
    (speech_copy / "evil.py").write_text("raise SystemExit('executed')")
    file = speech_copy / "config.json"
    code = {"auto_map": {"AutoConfig": "evil.E", "AutoModel": "evil.E"}, "model_type": "evil"}
    file.write_text(json.dumps(json.loads(file.read_text()) | code))
    with pytest.raises(InputError, match=rf"{speech_copy}"):
        HFSpeechEncoder(str(speech_copy))


def test_staged_files_appear_together_or_not_at_all(tmp_path):
    folder = tmp_path / "a" / "assets"
    with suppress(RuntimeError), staged(folder) as temporary:
        (temporary / "config.json").write_text("half")
        raise RuntimeError
    assert list(folder.iterdir()) == []
    with staged(folder) as temporary:
        (temporary / "config.json").write_text("whole")
    assert (folder / "config.json").read_text() == "whole"
    assert [p.name for p in folder.parent.iterdir()] == ["assets"]
