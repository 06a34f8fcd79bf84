"""Small random checkpoints on disk, as save_pretrained writes them."""

import json

import jaxtyping
import pytest
import sentencepiece
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCTC,
    AutoModelForMaskedLM,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
}
CONV = {
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    # 16 channels a group: on a CPU with AMX the bfloat16 convolution of torch 2.11 is wrong by a
    # third with 8 and fewer; real checkpoints have 48 and more. TinySpeechEncoder has groups.
    "num_conv_pos_embedding_groups": 1,
    "layerdrop": 0.1,
}
LAYER_NORM = {"feat_extract_norm": "layer", "conv_bias": True}
WHISPER = {
    "encoder_ffn_dim": 24,
    "dropout": 0.1,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 24,
    "vocab_size": 64,
    "pad_token_id": 0,
}
W2V_BERT = {"feature_projection_input_dim": 160, "layerdrop": 0.1, "mask_time_prob": 0.05}
SPEECH = {
    "wav2vec2": ("wav2vec2", {}),
    "wav2vec2-layer": ("wav2vec2", LAYER_NORM),
    "wav2vec2-stable": ("wav2vec2", LAYER_NORM | {"do_stable_layer_norm": True}),
    "hubert": ("hubert", {}),
    "hubert-stable": ("hubert", LAYER_NORM | {"do_stable_layer_norm": True}),
    "hubert-batch-norm": ("hubert", {"conv_pos_batch_norm": True}),
    "wavlm": ("wavlm", {}),
    "wavlm-stable": ("wavlm", LAYER_NORM | {"do_stable_layer_norm": True}),
    "data2vec": ("data2vec-audio", {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 19}),
    "unispeech-sat": ("unispeech-sat", {}),
    "sew": ("sew", {"conv_dim": (16,) * 13}),
    "conformer": ("wav2vec2-conformer", {"conv_depthwise_kernel_size": 7}),
    "conformer-rotary": ("wav2vec2-conformer", {"position_embeddings_type": "rotary"}),
}
OTHERS = {
    "w2v-bert": ("wav2vec2-bert", W2V_BERT),
    # A window of 10 s.
    "whisper": ("whisper", {"max_source_positions": 500}),
    "whisper-128": ("whisper", {"num_mel_bins": 128, "encoder_layerdrop": 0.1}),
}
# Held against transformers only.
VARIANTS = {
    "unispeech": ("unispeech", {}),
    "unispeech-sat-stable": ("unispeech-sat", LAYER_NORM | {"do_stable_layer_norm": True}),
    "sew-projected": ("sew", {"conv_dim": (12,) * 13, "squeeze_factor": 3}),
    "conformer-none": ("wav2vec2-conformer", LAYER_NORM | {"position_embeddings_type": None}),
    "w2v-bert-relative": ("wav2vec2-bert", W2V_BERT | {"position_embeddings_type": "relative"}),
    "w2v-bert-rotary": ("wav2vec2-bert", W2V_BERT | {"position_embeddings_type": "rotary"}),
}
WORDS = ["i", "am", "so", "happy", "sad", "no", "yes", "go", "away", "##s", "!", "."]
SENTENCES = ["I am so happy!", "Go away.", "No, no, I am sad.", "Yes, yes!", "So happy, so sad."]


def shaken(model):
    """Other biases, norms and batch statistics than the 0 and 1 of the start, which hide faults."""
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("inv_freq"):
                continue
            if value.ndim == 1 and value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value))
            elif "attn.linear_" in name or name.endswith("distance_embedding.weight"):
                value.mul_(20)
            elif name.endswith("rel_attn_embed.weight"):
                value.add_(torch.randn_like(value))
    return model


def save_speech(folder, family, **options):
    shape = {"whisper": WHISPER, "wav2vec2-bert": {}}.get(family, CONV)
    config = AutoConfig.for_model(family, **SIZES, **(shape | options))
    shaken(AutoModel.from_config(config)).save_pretrained(folder)
    if family == "whisper":
        WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    elif family == "wav2vec2-bert":
        SeamlessM4TFeatureExtractor().save_pretrained(folder)
    else:
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def speech_named(name, tmp_path_factory):
    family, options = (SPEECH | OTHERS | VARIANTS)[name]
    torch.manual_seed(0)
    return save_speech(tmp_path_factory.mktemp(name), family, **options)


@pytest.fixture(scope="session", params=[*SPEECH, *OTHERS])
def speech_folder(request, tmp_path_factory):
    return speech_named(request.param, tmp_path_factory)


@pytest.fixture(scope="session", params=[*SPEECH, "w2v-bert", *VARIANTS])
def their_folder(request, tmp_path_factory):
    """Of models that get the clip alone in transformers too (Whisper's are filled to 30 s)."""
    return speech_named(request.param, tmp_path_factory)


@pytest.fixture(scope="session", params=SPEECH)
def waveform_folder(request, tmp_path_factory):
    """Of models whose convolutions read the waveform."""
    return speech_named(request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory):
    return speech_named("whisper", tmp_path_factory)


@pytest.fixture(scope="session")
def sew_folder(tmp_path_factory):
    return speech_named("sew", tmp_path_factory)


@pytest.fixture(scope="session")
def conformer_folder(tmp_path_factory):
    return speech_named("conformer", tmp_path_factory)


@pytest.fixture(scope="session")
def w2v_bert_folder(tmp_path_factory):
    return speech_named("w2v-bert", tmp_path_factory)


@pytest.fixture(scope="session")
def wav2vec2_folder(tmp_path_factory):
    torch.manual_seed(0)
    return save_speech(tmp_path_factory.mktemp("wav2vec2"), "wav2vec2")


@pytest.fixture(scope="session")
def ctc_folder(tmp_path_factory):
    """HuBERT with a CTC head, as facebook/hubert-large-ls960-ft has one."""
    folder = tmp_path_factory.mktemp("ctc")
    torch.manual_seed(0)
    config = AutoConfig.for_model("hubert", **SIZES, **CONV)
    AutoModelForCTC.from_config(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return folder


def save_text(folder, family, vocab_size, head=AutoModel, **options):
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, **SIZES, vocab_size=vocab_size, max_position_embeddings=40, **options
    )
    shaken(head.from_config(config)).save_pretrained(folder)
    return folder


def bert_vocabulary(folder):
    """vocab.txt, the only tokenizer file of old BERT folders."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return len(words)


def roberta_vocabulary(folder):
    """vocab.json and merges.txt: single bytes and two merges."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = [*"abcdefghijklmnopqrstuvwxyzINYGSso.,!Ġ"]
    words = list(dict.fromkeys([*special, *letters, "no", "Ġs", "Ġso"]))
    vocabulary = {word: index for index, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nn o\nĠ s\nĠs o\n", encoding="utf-8")
    return len(words) + 1


def gpt_vocabulary(folder):
    """vocab.json and merges.txt without any token of padding, start or class: byte pairs."""
    letters = [*"abcdefghijklmnopqrstuvwxyzINYGSso.,!ĠÃ¼"]
    words = list(dict.fromkeys([*letters, "no", "Ġs", "Ġso", "<|endoftext|>"]))
    vocabulary = {word: index for index, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nn o\nĠ s\nĠs o\n", encoding="utf-8")
    return len(words)


def mpnet_vocabulary(folder):
    """vocab.txt with the special tokens of MPNet."""
    words = ["<s>", "<pad>", "</s>", "[UNK]", *WORDS, "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return len(words)


def modern_vocabulary(folder):
    """tokenizer.json: byte pairs between [CLS] and [SEP]."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += dict.fromkeys([*"abcdefghijklmnopqrstuvwxyzINYGSso.,!Ġ", "no", "Ġs", "Ġso"])
    merges = [("n", "o"), ("Ġ", "s"), ("Ġs", "o")]
    tokenizer = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name.strip('[]').lower()}_token": name for name in words[:5]}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return len(words)


def llama_vocabulary(folder):
    """tokenizer.json: byte pairs behind a start token, and none of padding."""
    words = ["<unk>", "<s>", "</s>", *dict.fromkeys("abcdefghijklmnopqrstuvwxyzINYGSso.,!Ġ")]
    tokenizer = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return len(words)


def albert_vocabulary(folder):
    """spiece.model, as ALBERT has it."""
    return sentencepiece_vocabulary(folder, "spiece", ("<pad>", "<unk>", "[CLS]", "[SEP]"))


def sentencepiece_vocabulary(folder, name="spm", special=("[PAD]", "[CLS]", "[SEP]", "[UNK]")):
    """spm.model, as DeBERTa-v3 has it."""
    names = {"[pad]": "pad", "<pad>": "pad", "[cls]": "bos", "[sep]": "eos"}
    roles = {}
    for number, piece in enumerate(special):
        role = names.get(piece.lower(), "unk")
        roles |= {f"{role}_id": number, f"{role}_piece": piece}
    lines = folder / "lines.txt"
    lines.write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines),
        model_prefix=str(folder / name),
        vocab_size=30,
        hard_vocab_limit=False,
        **roles,
        minloglevel=2,
    )
    return 64


DEBERTA = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
# Dropout that these families have by default is none.
ALBERT = {"embedding_size": 8, "hidden_dropout_prob": 0.1}
# Windows of 4 tokens on either side: what is filled up behind a text sees none of its tokens.
MODERN = {"local_attention": 8, "pad_token_id": 0, "mlp_dropout": 0.1}
GROUPED = {"num_key_value_heads": 1, "attention_dropout": 0.1}
TEXT = {
    "bert": ("bert", bert_vocabulary, {}),
    "distilbert": ("distilbert", bert_vocabulary, {}),
    "roberta": ("roberta", roberta_vocabulary, {}),
    "deberta-v3": ("deberta-v2", sentencepiece_vocabulary, DEBERTA),
    "deberta-v2-conv": ("deberta-v2", sentencepiece_vocabulary, DEBERTA | {"conv_kernel_size": 3}),
    "albert": ("albert", albert_vocabulary, ALBERT),
    "albert-groups": ("albert", albert_vocabulary, ALBERT | {"num_hidden_groups": 3}),
    "electra": ("electra", bert_vocabulary, {"embedding_size": 8}),
    "modernbert": ("modernbert", modern_vocabulary, MODERN),
    "mpnet": ("mpnet", mpnet_vocabulary, {}),
    "gpt2": ("gpt2", gpt_vocabulary, {}),
    "gpt-neo": (
        "gpt_neo",
        gpt_vocabulary,
        {
            "attention_types": [[["global", "local", "global"], 1]],
            "window_size": 8,
            "resid_dropout": 0.1,
        },
    ),
    "llama": ("llama", llama_vocabulary, GROUPED),
    "qwen2": ("qwen2", gpt_vocabulary, GROUPED | {"layer_types": None}),
}


def save_named_text(name, folder):
    """The tiny checkpoint of TEXT by this name, in a folder of its own."""
    family, vocabulary, options = TEXT[name]
    return save_text(folder, family, vocabulary(folder), **options)


@pytest.fixture(scope="session", params=TEXT)
def text_folder(request, tmp_path_factory):
    return save_named_text(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def albert_folder(tmp_path_factory):
    """ALBERT, whose one layer runs three times."""
    return save_named_text("albert", tmp_path_factory.mktemp("albert"))


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory):
    """GPT-2, without any special token but one."""
    return save_named_text("gpt2", tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(**SIZES, vocab_size=bert_vocabulary(folder), max_position_embeddings=40)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def masked_lm_folder(tmp_path_factory):
    """RoBERTa with its language-model head, as roberta-base has it."""
    folder = tmp_path_factory.mktemp("mlm")
    return save_text(folder, "roberta", roberta_vocabulary(folder), head=AutoModelForMaskedLM)


@pytest.fixture
def as_in_use(monkeypatch):
    """Without the shape and type checks of the tests: what a wrong value in a YAML file meets."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
