"""Our ragged encoders against plain Hugging Face on one utterance."""

import numpy as np
import pytest
import sentencepiece
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, Wav2Vec2FeatureExtractor

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.hf.speech import HFSpeechEncoder
from sermm.encoders.hf.text import HFTextEncoder

SIZES = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}
PRE_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
SPEECH = [
    ("wav2vec2", {}),
    ("wav2vec2", PRE_NORM),
    ("hubert", {}),
    ("hubert", PRE_NORM),
    ("wavlm", {}),
    ("wavlm", PRE_NORM),
    ("data2vec-audio", {"num_conv_pos_embeddings": 5}),
]


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(("family", "options"), SPEECH)
@torch.no_grad()
def test_speech(family, options, normalise, tmp_path):
    torch.manual_seed(0)
    common = {"conv_dim": (24,) * 7, "num_conv_pos_embedding_groups": 2}
    config = AutoConfig.for_model(family, **SIZES, **(common | options))
    AutoModel.from_config(config).save_pretrained(tmp_path)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalise)
    extractor.save_pretrained(tmp_path)

    rng = np.random.default_rng(0)
    clip, other = (0.3 + 0.1 * rng.standard_normal(n, dtype=np.float32) for n in (20000, 50000))
    inputs = extractor(clip, sampling_rate=16000, return_tensors="pt")
    plain = AutoModel.from_pretrained(tmp_path).eval()
    expected = plain(inputs.input_values, output_hidden_states=True)

    ours = HFSpeechEncoder(str(tmp_path), layers="all").eval()
    waveform = Ragged.pack([torch.tensor(clip), torch.tensor(other)])
    found = ours(Batch(("a", "b"), waveform=waveform)).split()[0]
    for layer, state in enumerate(expected.hidden_states[:-1]):
        torch.testing.assert_close(found[:, layer], state[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[:, -1], expected.last_hidden_state[0], rtol=1e-4, atol=1e-5)


SENTENCES = ["I am so happy to see you!", "Go away.", "No, I do not want to hear of it again."]


def bert(folder):
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] i am so happy to see you no do not want go away . ! ,"
    (folder / "vocab.txt").write_text("\n".join(words.split()) + "\n")
    return {"vocab_size": len(words.split())}


def deberta(folder):
    (folder / "lines").write_text("\n".join(SENTENCES) + "\n")
    sentencepiece.SentencePieceTrainer.train(
        f"--input={folder}/lines --model_prefix={folder}/spm --vocab_size=50 --minloglevel=2 "
        "--hard_vocab_limit=false --pad_id=0 --bos_id=1 --eos_id=2 --unk_id=3 "
        "--pad_piece=[PAD] --bos_piece=[CLS] --eos_piece=[SEP] --unk_piece=[UNK]"
    )
    return {"vocab_size": 80, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}


@pytest.mark.parametrize(("family", "vocabulary"), [("bert", bert), ("deberta-v2", deberta)])
@torch.no_grad()
def test_text(family, vocabulary, tmp_path):
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, **SIZES, **vocabulary(tmp_path), max_position_embeddings=64
    )
    AutoModel.from_config(config).save_pretrained(tmp_path)
    plain = AutoModel.from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ours = HFTextEncoder(str(tmp_path), layers="all", max_tokens=64).eval()

    rows = ours.tokenize(SENTENCES)
    tokens = Ragged.pack([torch.tensor(row) for row in rows])
    found = ours(Batch(("a", "b", "c"), tokens=tokens)).split()
    for sentence, own in zip(SENTENCES, found, strict=True):
        inputs = tokenizer(sentence, return_tensors="pt")
        states = plain(**inputs, output_hidden_states=True).hidden_states
        torch.testing.assert_close(own, torch.cat(states).transpose(0, 1), rtol=1e-4, atol=1e-5)


def test_deberta_tokens_are_those_of_sentencepiece(tmp_path):
    config = AutoConfig.for_model("deberta-v2", **SIZES, **deberta(tmp_path))
    AutoModel.from_config(config).save_pretrained(tmp_path)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spm.model"))
    ours = HFTextEncoder(str(tmp_path), max_tokens=64).tokenize(SENTENCES)
    assert ours == [[1, *pieces.encode(sentence), 2] for sentence in SENTENCES]
