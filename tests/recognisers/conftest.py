"""Small random recognisers on disk, as save_pretrained writes them."""

import json

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    GenerationConfig,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

VOCABULARY = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
LAYER_NORM = {
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "do_stable_layer_norm": True,
    # as fine-tuned checkpoints often have it: such models have no mask embedding
    "mask_time_prob": 0.0,
}
FAMILIES = {
    "wav2vec2": ("wav2vec2", {}),
    "hubert": ("hubert", LAYER_NORM),
    "wavlm": ("wavlm", {}),
    "data2vec": ("data2vec-audio", {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 19}),
    "unispeech-sat": ("unispeech-sat", {}),
    "sew": ("sew", {"conv_dim": (16,) * 13}),
    "conformer": ("wav2vec2-conformer", {}),
}


def save_ctc(folder, family="wav2vec2", **options):
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, **(SIZES | options), vocab_size=len(VOCABULARY), pad_token_id=0
    )
    model = AutoModelForCTC.from_config(config)
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim == 1:
                value.add_(0.1 * torch.rand_like(value))
        # Without a wider head a random model repeats one letter.
        model.lm_head.weight.mul_(50)
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    tokens = {token: index for index, token in enumerate(VOCABULARY)}
    (folder / "vocab.json").write_text(json.dumps(tokens), encoding="utf-8")
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=FAMILIES)
def any_ctc_folder(request, tmp_path_factory):
    family, options = FAMILIES[request.param]
    return save_ctc(tmp_path_factory.mktemp(request.param), family, **options)


@pytest.fixture
def vocabulary():
    return VOCABULARY


@pytest.fixture(scope="session")
def ctc_folder(tmp_path_factory):
    return save_ctc(tmp_path_factory.mktemp("ctc"))


WHISPER_SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|de|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]


def save_whisper(folder, multilingual=True):
    """Windows of 1 s and a vocabulary of single letters."""
    letters = [*"abcdefghijklmnopqrstuvwxyz", "Ġ"]
    words = {token: i for i, token in enumerate([*letters, *WHISPER_SPECIAL])}
    (folder / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    options = {"special_tokens_map": {}, "tokenizer_class": "WhisperTokenizer"}
    added = {
        str(words[token]): {
            "content": token,
            "special": True,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "single_word": False,
        }
        for token in WHISPER_SPECIAL
    }
    options["added_tokens_decoder"] = added
    (folder / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    WhisperFeatureExtractor(feature_size=80, chunk_length=1).save_pretrained(folder)
    end, start = words["<|endoftext|>"], words["<|startoftranscript|>"]
    config = WhisperConfig(
        vocab_size=len(words),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_source_positions=50,
        max_target_positions=40,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
    )
    torch.manual_seed(1)
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(8.0 if value.ndim > 1 else 1.0)
    generation = {
        "decoder_start_token_id": start,
        "eos_token_id": end,
        "pad_token_id": end,
        "bos_token_id": end,
        "max_length": 24,
        "is_multilingual": multilingual,
        "no_timestamps_token_id": words["<|notimestamps|>"],
        "suppress_tokens": [],
        "begin_suppress_tokens": [end],
        "return_timestamps": False,
    }
    if multilingual:
        generation["lang_to_id"] = {token: words[token] for token in ("<|en|>", "<|de|>")}
        generation["task_to_id"] = {
            task: words[f"<|{task}|>"] for task in ("transcribe", "translate")
        }
    model.generation_config = GenerationConfig(**generation)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory):
    return save_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="session")
def english_whisper_folder(tmp_path_factory):
    return save_whisper(tmp_path_factory.mktemp("whisper.en"), multilingual=False)
