"""Whisper (Radford et al. 2023) by hub id or local folder.

Every clip is filled to the 30 s that the encoder hears, so a text does not depend on batch mates.
Longer audio is cut where it is quiet, and its texts are joined.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    AutoFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.loading import CONFIG, WEIGHTS, Source, load_config
from sermm.encoders.hf.speech_family import SAMPLING_RATE_HZ
from sermm.recognisers.base import Recogniser, short_name
from sermm.recognisers.windows import windows

_FILES = (
    CONFIG,
    WEIGHTS,
    ("generation_config.json",),
    ("tokenizer.json", "vocab.json"),
    ("preprocessor_config.json", "processor_config.json"),
)
# 25 ms, the window of its spectrogram.
_SHORTEST = 400


@dataclass(frozen=True)
class _Network:
    """Model, features and tokenizer; `language` is None where the model asks for none."""

    model: Any
    extractor: Any
    tokenizer: Any
    language: str | None


class WhisperModel(Recogniser):
    """Whisper, greedy by default, without timestamps, temperature fallback or context."""

    window_s: float = 30.0

    def __init__(
        self,
        id: str,  # noqa: A002 (the hub's word)
        revision: str | None = None,
        language: str | None = "en",
        task: str = "transcribe",
        beams: int = 1,
        max_tokens: int | None = None,
        key: str = "recogniser",
    ) -> None:
        """Looks whether a local folder is complete; loads nothing yet.

        Args:
            id: hub id or folder.
            revision: commit, tag or branch on the hub.
            language: code ("en") or name ("english"); None: detected for every utterance.
            task: `transcribe` in the language spoken, or `translate` into English.
            beams: width of the beam search; 1 is greedy.
            max_tokens: a text's longest; None: as the model's own configuration says.
            key: the configuration key that errors name.

        Raises:
            InputError: a file is missing, or an option is none of these.
        """
        if task not in ("transcribe", "translate"):
            raise InputError(f"{key}.task={task}: expected transcribe or translate")
        for name, value in (("beams", beams), ("max_tokens", max_tokens)):
            if value is not None and value < 1:
                raise InputError(f"{key}.{name}={value}: expected a number from 1")
        self._source = Source(id, key, revision)
        self._source.require(*_FILES)
        self._language, self._task = language, task
        self._beams, self._max_tokens = beams, max_tokens
        self._device = torch.device("cpu")
        self.name = short_name(id)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Weights and tokenizer (by digest or commit), decoding options, library versions."""
        return {
            "kind": "whisper",
            "weights": self._source.fingerprint(),
            "language": self._language,
            "task": self._task,
            "beams": self._beams,
            "max_tokens": self._max_tokens,
            "versions": {name: version(name) for name in ("torch", "transformers")},
        }

    def cost_s(self, duration_s: float) -> float:
        """Whole windows: a short clip costs as much as one of 30 s."""
        return max(1, math.ceil(duration_s / self.window_s)) * self.window_s

    def load(self) -> None:
        """Loads the model and what goes with it."""
        _ = self._network

    def to(self, device: torch.device | str) -> "WhisperModel":
        """Computes on another device from now on."""
        self._device = torch.device(device)
        if "_network" in self.__dict__:
            self._network.model.to(device)
        return self

    @torch.no_grad()
    def transcribe(self, waveform: Ragged) -> list[str]:
        """Texts with the punctuation and case that Whisper gives."""
        longest = int(self._network.extractor.n_samples)
        parts = [
            (number, piece)
            for number, clip in enumerate(waveform.split())
            for piece in windows(clip, longest)
            if len(piece) >= _SHORTEST
        ]
        texts: list[list[str]] = [[] for _ in range(len(waveform))]
        if parts:
            found = self._decode([piece for _, piece in parts])
            for (number, _), text in zip(parts, found, strict=True):
                texts[number].append(text)
        return [" ".join(" ".join(pieces).split()) for pieces in texts]

    def _decode(self, clips: list[Float[Tensor, " _"]]) -> list[str]:
        network = self._network
        features = network.extractor(
            [clip.cpu().numpy() for clip in clips],
            sampling_rate=SAMPLING_RATE_HZ,
            return_tensors="pt",
        ).input_features
        options: dict[str, Any] = {"num_beams": self._beams, "do_sample": False}
        if network.language is not None:
            options |= {"language": network.language, "task": self._task}
        elif network.model.generation_config.is_multilingual:
            options["task"] = self._task
        if self._max_tokens is not None:
            options["max_new_tokens"] = self._max_tokens
        tokens = network.model.generate(features.to(self._device), **options)
        texts: list[str] = network.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return texts

    @cached_property
    def _network(self) -> _Network:
        config = load_config(self._source, ("whisper",))
        model, info = self._source.fetch(
            WhisperForConditionalGeneration.from_pretrained,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
        )
        if missing := sorted(info["missing_keys"]):
            raise InputError(
                f"{self._source}: the checkpoint lacks {len(missing)} weights of its own "
                f"configuration (first: {missing[0]}); its files do not belong together"
            )
        return _Network(
            model.eval().to(self._device),
            self._source.fetch(AutoFeatureExtractor.from_pretrained),
            self._source.fetch(WhisperTokenizer.from_pretrained),
            self._known_language(model.generation_config),
        )

    def _known_language(self, options: Any) -> str | None:
        """The language as the model wants it.

        Raises:
            InputError: it does not know it.
        """
        given = self._language
        if not getattr(options, "is_multilingual", False):
            if given is None or given.lower() in {"en", "english"}:
                return None
            raise InputError(
                f"{self._source} knows English only, got {self._source.key}.language={given}; "
                "choose a Whisper without `.en`"
            )
        if given is None:
            return None
        code: str = TO_LANGUAGE_CODE.get(given.lower(), given.lower())
        if f"<|{code}|>" not in options.lang_to_id:
            known = ", ".join(sorted(token.strip("<|>") for token in options.lang_to_id))
            raise InputError(
                f"{self._source.key}.language={given}: this model has no such language; it knows "
                f"{known}"
            )
        return code
