"""Recognisers with a CTC head, of any family whose convolutions read the waveform.

That is wav2vec 2.0, HuBERT, WavLM, data2vec-audio, UniSpeech, SEW and wav2vec2-conformer.

Source: Graves et al. 2006; the transcripts of Bian 2024 are greedy ones of
`facebook/wav2vec2-large-960h`. The encoder is `SpeechTransformer`, so that log-probabilities are
exact in any batch; the head works frame by frame.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformers import AutoModelForCTC, Wav2Vec2CTCTokenizer

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.speech_family import (
    PREPROCESSOR,
    SAMPLING_RATE_HZ,
    feature_extractor,
)
from sermm.encoders.hf.families.waveform_family import receptive_field
from sermm.encoders.hf.loading import CONFIG, WEIGHTS, Source, load_config
from sermm.encoders.hf.speech import WAVEFORM_FAMILIES, SpeechTransformer
from sermm.recognisers.base import Recogniser, short_name

_FILES = (CONFIG, WEIGHTS, ("vocab.json",), PREPROCESSOR)
# The only weight that a checkpoint may lack: it is used in training only.
_MASK = "masked_spec_embed"


@dataclass(frozen=True)
class _Network:
    """Encoder and head, in evaluation mode."""

    encoder: SpeechTransformer
    head: nn.Linear


class CTCModel(Recogniser):
    """A Hugging Face model with a CTC head.

    Attributes:
        vocabulary: index by token.
        blank: index of the CTC blank (the padding token).
        delimiter: the token between words, usually "|".
        frame_s: seconds from one frame to the next (0.02).
        shortest: samples that one frame sees.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 (the hub's word)
        revision: str | None = None,
        key: str = "recogniser",
    ) -> None:
        """Looks whether a local folder is complete; loads nothing yet.

        Args:
            id: hub id or folder.
            revision: commit, tag or branch on the hub.
            key: the configuration key that errors name.

        Raises:
            InputError: a file is missing.
        """
        self._source = Source(id, key, revision)
        self._source.require(*_FILES)
        self._device = torch.device("cpu")
        self.name = short_name(id)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Weights and tokenizer (by digest or commit), decoding, library versions."""
        return {
            "kind": "ctc",
            "weights": self._source.fingerprint(),
            "decoding": "greedy",
            "versions": {name: version(name) for name in ("torch", "transformers")},
        }

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Index by token."""
        vocabulary = {str(token): int(i) for token, i in self._tokenizer.get_vocab().items()}
        size = int(self._config.vocab_size)
        # Tokenizers add <s> and </s> where the file has none; the head has no place for them.
        held = {token: index for token, index in vocabulary.items() if index < size}
        beyond = set(vocabulary) - set(held) - set(self._tokenizer.all_special_tokens)
        if beyond or not 0 <= self.blank < size:
            raise InputError(
                f"{self._source}: vocab.json has tokens up to {max(vocabulary.values())}, the CTC "
                f"head {size} outputs; the files do not belong together"
            )
        return held

    @property
    def blank(self) -> int:
        """Index of the CTC blank."""
        return int(self._tokenizer.pad_token_id)

    @property
    def delimiter(self) -> str:
        """The token between words."""
        return str(self._tokenizer.word_delimiter_token)

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next."""
        return float(math.prod(self._config.conv_stride) / SAMPLING_RATE_HZ)

    @cached_property
    def shortest(self) -> int:
        """Samples that one frame sees; a shorter clip is filled with zeros to one frame."""
        return receptive_field(self._config.conv_kernel, self._config.conv_stride)

    @cached_property
    def characters(self) -> frozenset[str]:
        """The lower-case characters of its tokens."""
        return frozenset("".join(self._letters.values()).lower())

    def load(self) -> None:
        """Loads the model and what goes with it."""
        _ = self._network

    def to(self, device: torch.device | str) -> "CTCModel":
        """Computes on another device from now on."""
        self._device = torch.device(device)
        if "_network" in self.__dict__:
            self._network.encoder.to(device)
            self._network.head.to(device)
        return self

    @torch.no_grad()
    def log_probs(self, waveform: Ragged) -> Ragged:
        """Log-probabilities `[n v]` in float32, on the device of the waveform.

        At least one frame an utterance: one shorter than a frame is filled with zeros.
        """
        batch = Batch(tuple(map(str, range(len(waveform)))), waveform=waveform.to(self._device))
        states = self._network.encoder.forward(batch)
        log_probs = self._network.head(states.values[:, 0]).float().log_softmax(-1)
        return states.with_values(log_probs.to(waveform.values.device))

    def transcribe(self, waveform: Ragged) -> list[str]:
        """Greedy texts, in the case of the vocabulary."""
        best = self.log_probs(waveform).map(lambda frames: frames.argmax(-1)).to("cpu")
        return [
            self.text(ids) if length >= self.shortest else ""
            for ids, length in zip(best.split(), waveform.sizes, strict=True)
        ]

    def text(self, ids: Int[Tensor, " t"]) -> str:
        """What a path of token indices, one a frame, says: repeats and blanks removed."""
        kept = (self._letters.get(i, "") for i in collapse(ids, self.blank))
        return " ".join("".join(kept).split())

    @cached_property
    def _letters(self) -> dict[int, str]:
        """What each index adds to a text; special tokens add nothing."""
        silent = {*self._tokenizer.all_special_tokens, self.delimiter}
        letters = {i: token for token, i in self.vocabulary.items() if token not in silent}
        if self.delimiter in self.vocabulary:
            letters[self.vocabulary[self.delimiter]] = " "
        return letters

    @cached_property
    def _tokenizer(self) -> Any:
        return self._source.fetch(Wav2Vec2CTCTokenizer.from_pretrained)

    @cached_property
    def _config(self) -> Any:
        return load_config(self._source, WAVEFORM_FAMILIES)

    @cached_property
    def _network(self) -> _Network:
        config = self._config
        if getattr(config, "add_adapter", False):
            raise InputError(
                f"{self._source} shortens time behind the transformer (add_adapter), which is not "
                "supported; choose another CTC model"
            )
        hf, info = self._source.fetch(
            AutoModelForCTC.from_pretrained,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
        )
        self._refuse_missing(info)
        normalise = bool(feature_extractor(self._source).do_normalize)
        encoder = SpeechTransformer(hf.base_model, "none", "last", True, normalise, False)
        return _Network(encoder.eval().to(self._device), hf.lm_head.eval().to(self._device))

    def _refuse_missing(self, info: Mapping[str, Any]) -> None:
        missing = sorted(key for key in info["missing_keys"] if not key.endswith(_MASK))
        if any(key.startswith("lm_head") for key in missing):
            raise InputError(
                f"{self._source}: the checkpoint has no CTC head, it cannot write; choose one that "
                "was trained to recognise, such as facebook/wav2vec2-large-960h"
            )
        if missing:
            raise InputError(
                f"{self._source}: the checkpoint lacks {len(missing)} weights of its own "
                f"configuration (first: {missing[0]}); its files do not belong together"
            )


def collapse(ids: Int[Tensor, " t"], blank: int) -> list[int]:
    """The labels that a CTC path stands for: repeats merged, then blanks dropped."""
    return [int(i) for i in torch.unique_consecutive(ids).tolist() if i != blank]
