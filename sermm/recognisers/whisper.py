"""Whisper (Radford et al. 2023) by hub id or local folder.

Every clip is filled to the 30 s that the encoder hears, so a text does not depend on batch mates.
Longer audio is cut where it is quiet, and its texts are joined.

Where the time goes, Whisper base on two cores with AMX, seconds a clip of 3 s: encoder 0.5 in
float32 and 0.24 in bfloat16, the same in any batch; greedy decoding 0.37 alone and 0.18 in a
batch of 16; `transformers`' pipeline searches with 5 beams unless told otherwise, 1.1 for that.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    AutoFeatureExtractor,
    GenerationConfig,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ
from sermm.encoders.hf.loading import CONFIG, WEIGHTS, Source, load_config, quiet
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
# Windows that the encoder hears at once: more are no quicker on a CPU, and need memory.
_ENCODED_TOGETHER = 4
# Windows that are written down at once: long clips have many in a batch.
_DECODED_TOGETHER = 16
Precision = Literal["32-true", "bf16-encoder"]


@dataclass(frozen=True)
class _Network:
    """Model, features and tokenizer; `language` is None where it is detected or not asked for."""

    model: Any
    extractor: Any
    tokenizer: Any
    language: str | None

    @property
    def multilingual(self) -> bool:
        """Whether the model is to be told a language."""
        return bool(getattr(self.model.generation_config, "is_multilingual", False))


class WhisperModel(Recogniser):
    """Whisper, greedy by default, without timestamps, temperature fallback or context.

    Attributes:
        detected: how many clips were taken to be in which language (code) so far; empty where the
            language is given.
    """

    window_s: float = 30.0

    def __init__(
        self,
        id: str,  # noqa: A002 (the hub's word)
        revision: str | None = None,
        language: str | None = "en",
        task: str = "transcribe",
        beams: int = 1,
        max_tokens: int | None = None,
        precision: str = "32-true",
        key: str = "recogniser",
    ) -> None:
        """Looks whether a local folder is complete; loads nothing yet.

        Args:
            id: hub id or folder.
            revision: commit, tag or branch on the hub.
            language: code ("en") or name ("english"); None: detected for every utterance, by its
                first window.
            task: `transcribe` in the language spoken, or `translate` into English.
            beams: width of the beam search; 1 is greedy.
            max_tokens: a text's longest; None: as the model's own configuration says.
            precision: 32-true, or bf16-encoder: the encoder, which is most of the work, in
                bfloat16, and decoding in float32. How quick, and whether texts are the same:
                `sermm bench transcribe id=FOLDER clips=FOLDER`.
            key: the configuration key that errors name.

        Raises:
            InputError: a file is missing, an option is none of these, or a local model does not
                know the language (of one on the hub it is known when it is loaded).
        """
        for name, choice, known in (
            ("task", task, ("transcribe", "translate")),
            ("precision", precision, get_args(Precision)),
        ):
            if choice not in known:
                raise InputError(f"{key}.{name}={choice}: expected {' or '.join(known)}")
        for name, value in (("beams", beams), ("max_tokens", max_tokens)):
            if value is not None and value < 1:
                raise InputError(f"{key}.{name}={value}: expected a number from 1")
        self._source = Source(id, key, revision)
        self._source.require(*_FILES)
        self._language, self._task = language, task
        self._beams, self._max_tokens = beams, max_tokens
        self._dtype = torch.bfloat16 if precision == "bf16-encoder" else torch.float32
        self._device = torch.device("cpu")
        self.name = short_name(id)
        self.detected: Counter[str] = Counter()
        self._refuse_no_language()
        if self._source.is_folder:
            self._known_language(self._source.fetch(GenerationConfig.from_pretrained))

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
            # As before there was a choice: what was recognised then is the same.
            **({} if self._dtype == torch.float32 else {"precision": "bf16-encoder"}),
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
        languages: dict[int, str] = {}
        for first in range(0, len(parts), _DECODED_TOGETHER):
            numbers, pieces = zip(*parts[first : first + _DECODED_TOGETHER], strict=True)
            for number, text in zip(numbers, self._heard(pieces, numbers, languages), strict=True):
                texts[number].append(text)
        self.detected.update(languages.values())
        return [" ".join(" ".join(pieces).split()) for pieces in texts]

    def _heard(
        self,
        pieces: Sequence[Float[Tensor, " _"]],
        numbers: Sequence[int],
        languages: dict[int, str],
    ) -> list[str]:
        """The texts of a few windows.

        The encoder hears each once, also where the language is detected.

        Args:
            pieces: windows.
            numbers: the clip that each is of.
            languages: detected so far by clip; those of new clips are added.
        """
        network = self._network
        states = BaseModelOutput(last_hidden_state=self._states(pieces))
        options: dict[str, Any] = {"num_beams": self._beams, "do_sample": False}
        if self._max_tokens is not None:
            options["max_new_tokens"] = self._max_tokens
        if network.multilingual:
            options |= {"task": self._task, "language": network.language}
            if network.language is None:
                found = network.model.detect_language(encoder_outputs=states).tolist()
                for number, token in zip(numbers, found, strict=True):
                    languages.setdefault(
                        number, network.tokenizer.convert_ids_to_tokens(token).strip("<|>")
                    )
                options["language"] = [languages[number] for number in numbers]
        # It warns of a mask that it does not need: each window is filled, none is padded.
        with quiet():
            tokens = network.model.generate(encoder_outputs=states, **options)
        texts: list[str] = network.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return texts

    def _states(self, pieces: Sequence[Float[Tensor, " _"]]) -> Float[Tensor, "b n d"]:
        """What the encoder makes of windows, filled up with silence."""
        network = self._network
        features = network.extractor(
            [piece.cpu().numpy() for piece in pieces],
            sampling_rate=SAMPLING_RATE_HZ,
            return_tensors="pt",
        ).input_features.to(self._device, self._dtype)
        encoder = network.model.get_encoder()
        return torch.cat(
            [encoder(one).last_hidden_state.float() for one in features.split(_ENCODED_TOGETHER)]
        )

    @cached_property
    def _network(self) -> _Network:
        config = load_config(self._source, ("whisper",))
        # Before the weights: it is quick to tell that there is no such language.
        language = self._known_language(self._source.fetch(GenerationConfig.from_pretrained))
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
        model.get_encoder().to(self._dtype)
        return _Network(
            model.eval().to(self._device),
            self._source.fetch(AutoFeatureExtractor.from_pretrained),
            self._source.fetch(WhisperTokenizer.from_pretrained),
            language,
        )

    def _refuse_no_language(self) -> None:
        """Refuses what no Whisper knows, before anything of this one is looked for."""
        known = {*TO_LANGUAGE_CODE, *TO_LANGUAGE_CODE.values()}
        if self._language is not None and self._language.lower() not in known:
            codes = ", ".join(sorted(set(TO_LANGUAGE_CODE.values())))
            raise InputError(
                f"{self._source.key}.language={self._language}: no Whisper has such a language; "
                f"expected null (detected) or one of {codes}"
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
