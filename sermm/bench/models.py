"""Encoders and a recogniser of real sizes with random weights, and made-up utterances for them.

Shared by the cases `fusion` and `finetune`, which measure on HuBERT-large, BERT-base and
wav2vec2-large. Nothing is downloaded: neither time nor floating-point operations depend on what the
weights are, only on the sizes in a config. Tests run the same cases with small sizes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BertConfig,
    HubertConfig,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.core.seeding import generator
from sermm.encoders.base import Encoder
from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ
from sermm.encoders.hf.loading import random_model
from sermm.encoders.hf.speech import SpeechTransformer
from sermm.encoders.hf.text import TextTransformer
from sermm.engine.assembly.build import build
from sermm.engine.assembly.encoders import encoded_by, encoder_configs
from sermm.models.base import System

CLASSES = 4
# Of IEMOCAP's transcripts, without [CLS] and [SEP].
_TOKENS_HZ = 3.3
_CHARACTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}


@dataclass(frozen=True)
class Sizes:
    """What the networks differ in from wav2vec2-base and BERT-base, as in their config.json.

    Attributes:
        speech: of HuBERT and of the recogniser, which is a wav2vec 2.0.
        text: of BERT.
    """

    speech: Mapping[str, Any] = field(default_factory=lambda: dict(_LARGE))
    text: Mapping[str, Any] = field(default_factory=dict)


def hubert(sizes: Sizes) -> Any:
    """As facebook/hubert-large-ls960-ft: pre-norm, layer norm in the front end.

    Layer drop and time masking are off, so that every pass computes the same.
    """
    torch.manual_seed(0)
    return random_model(
        HubertConfig(
            **sizes.speech,
            feat_extract_norm="layer",
            conv_bias=True,
            do_stable_layer_norm=True,
            layerdrop=0.0,
            mask_time_prob=0.0,
        )
    )


def bert(sizes: Sizes) -> Any:
    """As bert-base-uncased."""
    torch.manual_seed(0)
    return random_model(BertConfig(**sizes.text))


def recogniser(sizes: Sizes) -> Any:
    """As facebook/wav2vec2-large-960h: post-norm, group norm in the front end, a CTC head."""
    torch.manual_seed(0)
    return Wav2Vec2ForCTC(Wav2Vec2Config(**sizes.speech, vocab_size=len(_CHARACTERS))).eval()


def save_recogniser(folder: Path, sizes: Sizes) -> None:
    """Writes the recogniser as `sermm.recognisers.ctc` reads it: weights and tokenizer."""
    recogniser(sizes).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    index = {character: n for n, character in enumerate(_CHARACTERS)}
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps(index), encoding="utf-8")
    Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(folder)


def encoder_pair(speech: Any, text: Any) -> dict[str, Encoder]:
    """Both trained whole but for the speech model's convolutional front end; last layers.

    Args:
        speech: as `hubert` gives it.
        text: as `bert` gives it.
    """
    return {
        "speech": SpeechTransformer(speech, "all", "last", True, True, False),
        "text": TextTransformer(text, None, "all", "last", 128),
    }


def utterances(clips: Sequence[Tensor], vocab_size: int) -> Batch:
    """Clips `[t]` at 16 kHz with as many random tokens as IEMOCAP's transcripts have, and labels.

    Args:
        clips: at least one.
        vocab_size: of the text model.
    """
    rng = generator(0, "bench tokens", len(clips))
    tokens = [
        torch.tensor(rng.integers(1, vocab_size, round(_TOKENS_HZ * len(c) / SAMPLING_RATE_HZ) + 2))
        for c in clips
    ]
    return Batch(
        tuple(map(str, range(len(clips)))),
        waveform=Ragged.pack(list(clips)),
        tokens=Ragged.pack(tokens),
        label=torch.arange(len(clips)) % CLASSES,
    )


def fused(words: Sequence[str], pair: Mapping[str, Encoder]) -> tuple[System, System]:
    """A configured system twice: over features that are given, and over the live encoders.

    Built twice from one configuration, as a run with `features=cached` and its restored self are.
    The live one holds the very encoders of `pair`: several systems share them, else they would not
    fit.

    Args:
        words: overrides of `conf/train.yaml` that choose the system.
        pair: the encoders `speech` and `text`, which the second one holds as they are.
    """
    settings = ["data=manifest", "protocol=groups5", "features=cached"]
    config = RunConfig.of([*settings, *words])
    configs = encoder_configs(config.model)
    encoders = {path: pair[encoded_by(one)] for path, one in configs.items()}
    shapes = {path: (one.n_layers, one.width) for path, one in encoders.items()}
    given, live = (build(config, CLASSES, None, [], shapes) for _ in range(2))
    for path, encoder in encoders.items():
        live.set_submodule(path, encoder)
    return given, live
