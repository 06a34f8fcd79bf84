"""The same encoders in small and with random weights: for the demo, tests and dry runs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, PreTrainedTokenizerFast

from sermm.core.errors import InputError
from sermm.encoders.base import Origin, Trainable
from sermm.encoders.hf import speech as hf_speech
from sermm.encoders.hf import text as hf_text
from sermm.encoders.hf.base import Layers
from sermm.encoders.hf.gdes import Gdes
from sermm.encoders.hf.loading import Source, load_config, random_model

SpeechKind = Literal[
    "wav2vec2",
    "hubert",
    "wavlm",
    "data2vec",
    "unispeech",
    "unispeech-sat",
    "sew",
    "wav2vec2-conformer",
    "wav2vec2-bert",
    "whisper",
]
TextKind = Literal["bert", "roberta", "deberta-v2"]
_SPEECH_KINDS = {name.removesuffix("-audio"): name for name in hf_speech.FAMILIES}
_TEXT_KINDS = {name: name for name in ("bert", "roberta", "deberta-v2")}
_SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


class TinySpeechEncoder(hf_speech.SpeechTransformer):
    """A small random speech encoder: 20 ms frames, all of it trainable.

    Weights come from torch's global generator.

    Args:
        kind: the family.
        width: size of a hidden state, a multiple of `heads`; also of the front end.
        depth: how many transformer layers.
        heads: attention heads.
        norm: "group" (over time, first layer only, post-norm layers) or "layer" (pre-norm);
            data2vec, whisper, sew and both conformers (wav2vec2-conformer and -bert) have their
            own.
        trainable: "all", "none", or how many of the top layers.
        layers: "last", "all" or "transformer".
        normalise: every clip to zero mean and unit variance first.
        assets: a folder of `save_assets`, which then decides the sizes.

    Raises:
        InputError: an unknown kind.
    """

    def __init__(
        self,
        kind: SpeechKind = "wav2vec2",
        width: int = 32,
        depth: int = 2,
        heads: int = 2,
        norm: Literal["group", "layer"] = "group",
        trainable: Trainable = "all",
        layers: Layers = "last",
        normalise: bool = False,
        assets: str | Path | None = None,
    ) -> None:
        config = _config(
            "encoder.speech",
            _SPEECH_KINDS,
            kind,
            assets,
            **_transformer_sizes(width, depth, heads),
            conv_dim=[width] * (13 if kind == "sew" else 7),
            feat_extract_norm=norm,
            do_stable_layer_norm=norm == "layer",
            num_conv_pos_embeddings=5 if kind == "data2vec" else 16,
            conv_pos_kernel_size=5,
            num_conv_pos_embedding_groups=heads,
            layerdrop=0.0,
            **({"encoder_ffn_dim": 2 * width} if kind == "whisper" else {}),
        )
        super().__init__(random_model(config), trainable, layers, False, normalise, False)

    @classmethod
    def origin(cls, **config: Any) -> Origin:
        """A small one of its family."""
        return Origin(f"tiny {config.get('kind', 'wav2vec2')}", "random")


class TinyTextEncoder(hf_text.TextTransformer):
    """A small random text encoder whose tokenizer is trained on the training transcripts.

    Weights come from torch's global generator.

    Args:
        kind: the family.
        vocab_size: most tokens the tokenizer may learn, and rows of the embedding.
        width: size of a hidden state, a multiple of `heads`.
        depth: how many transformer layers.
        heads: attention heads.
        trainable: "all", "none", or how many of the top layers.
        layers: "last", "all" or "transformer".
        max_tokens: transcripts are cut here, special tokens included.
        assets: a folder of `save_assets`, which then decides sizes and tokenizer.
        gdes: the word embeddings learn a residual: none, full, or its rank.

    Raises:
        InputError: an unknown kind.
    """

    def __init__(
        self,
        kind: TextKind = "bert",
        vocab_size: int = 512,
        width: int = 32,
        depth: int = 2,
        heads: int = 2,
        trainable: Trainable = "all",
        layers: Layers = "last",
        max_tokens: int = 128,
        assets: str | Path | None = None,
        gdes: Gdes = "none",
    ) -> None:
        config = _config(
            "encoder.text",
            _TEXT_KINDS,
            kind,
            assets,
            **_transformer_sizes(width, depth, heads),
            vocab_size=vocab_size,
            max_position_embeddings=max_tokens + 1,
            pad_token_id=0,
            relative_attention=kind == "deberta-v2",
            pos_att_type=["p2c", "c2p"],
        )
        tokenizer = None if assets is None else _read_tokenizer(Path(assets))
        super().__init__(random_model(config), tokenizer, trainable, layers, max_tokens, gdes)

    @classmethod
    def origin(cls, **config: Any) -> Origin:
        """A small one of its family."""
        return Origin(f"tiny {config.get('kind', 'bert')}", "random")

    def fit(self, transcripts: Iterable[str]) -> None:
        """Trains the tokenizer; the same transcripts give the same tokens on every machine."""
        self._tokenizer = _train_tokenizer(transcripts, self.hf.config.vocab_size)


def _transformer_sizes(width: int, depth: int, heads: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
    }


def _config(
    key: str, kinds: dict[str, str], kind: str, assets: str | Path | None, **sizes: Any
) -> Any:
    if kind not in kinds:
        raise InputError(f"{key}.kind={kind}: expected one of {', '.join(kinds)}")
    if assets is not None:
        return load_config(Source.of_assets(assets, key), [kinds[kind]])
    return AutoConfig.for_model(kinds[kind], **sizes)


def _train_tokenizer(transcripts: Iterable[str], vocab_size: int) -> Any:
    # Byte pairs without a word-boundary prefix: WordPiece numbers its pieces in hash order.
    tokenizer = Tokenizer(models.BPE(unk_token=_SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(_SPECIAL.values()),
        limit_alphabet=vocab_size // 2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(transcripts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **_SPECIAL)


def _read_tokenizer(folder: Path) -> Any:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise InputError(f"encoder.text.assets={folder}: the folder has no tokenizer.json")
    return PreTrainedTokenizerFast(tokenizer_file=str(file), **_SPECIAL)
