"""Whisper's part of the case `features` of `sermm bench`: its encoder over short clips.

What is compared with, in the same run: transformers' encoder on one clip at a time filled to 30 s,
which is what everybody does, spectrogram included; and the rate at which the machine multiplies
matrices. Random weights of Whisper base's sizes, float32, in memory on both sides.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import WhisperConfig, WhisperFeatureExtractor

from sermm.bench.measures import Measurement
from sermm.bench.timing import best_of, ratio
from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.front_end import strips
from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ, Context
from sermm.encoders.hf.loading import random_model
from sermm.encoders.hf.speech import SpeechTransformer

BASE = {
    "d_model": 512,
    "encoder_layers": 6,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
}
CONTEXTS: Sequence[Context] = ("own", 1.0, "30s")
# Of the clip alone: at least so many times quicker.
_GOAL = 4.0
# As `features.batch_seconds` is on a CPU.
_BATCH_S = 20.0


def whisper_base() -> Any:
    """Its encoder's architecture, with random weights."""
    torch.manual_seed(0)
    return random_model(WhisperConfig(**BASE)).eval()


def measures(
    hf: Any, clips: Sequence[Tensor], matrix_rate: Callable[[torch.dtype], float]
) -> list[Measurement]:
    """A minute and a half on two cores for four minutes of speech.

    Args:
        hf: Whisper's encoder; left as it is.
        clips: samples at 16 kHz.
        matrix_rate: floating-point operations a second of a large matrix product.
    """
    seconds = sum(map(len, clips)) / SAMPLING_RATE_HZ
    bare: list[float] = []
    took: dict[Context, list[float]] = {context: [] for context in CONTEXTS}
    encoders = {context: encoder_of(hf, context) for context in CONTEXTS}
    for _ in range(2):
        bare.append(best_of(1, lambda: filled_one_by_one(hf, clips)))
        for context, times in took.items():
            times.append(best_of(1, partial(in_batches, encoders[context], clips)))
    rows = [_measure("filled to 30 s one by one, float32", seconds / min(bare), "x real time")]
    rate = matrix_rate(torch.float32)
    for context, times in took.items():
        name, own_s = f"context={context}", min(times)
        limit = 1 / _GOAL if context == "own" else None
        share = 100 * _flops(encoders[context], clips) / own_s / rate
        rows += [
            _measure(name, seconds / own_s, "x real time"),
            _measure(f"{name}: time to filled one by one", ratio(own_s, min(bare)), "x", limit),
            _measure(f"{name}: share of the matrix rate", share, "%"),
        ]
    worst = furthest(hf, clips[:6])
    return [*rows, _measure("furthest from transformers, relative", worst, "", 1e-4)]


def _measure(what: str, value: float, unit: str, limit: float | None = None) -> Measurement:
    return Measurement("features", f"Whisper base, {what}", value, unit, limit)


def encoder_of(hf: Any, context: Context) -> SpeechTransformer:
    """Ours around a copy of the model, of which it replaces parts: all layers, nothing trained."""
    copied = random_model(hf.config).eval()
    copied.load_state_dict(hf.state_dict())
    return SpeechTransformer(copied, "none", "all", True, False, False, context).eval()


@torch.inference_mode()
def in_batches(encoder: SpeechTransformer, clips: Sequence[Tensor]) -> None:
    """All hidden states, in batches of like length as extraction makes them."""
    for some in strips(sorted(clips, key=len), round(_BATCH_S * SAMPLING_RATE_HZ)):
        encoder(_batch(some))


def _batch(clips: Sequence[Tensor]) -> Batch:
    return Batch(tuple(map(str, range(len(clips)))), waveform=Ragged.pack(list(clips)))


@torch.inference_mode()
def filled_one_by_one(hf: Any, clips: Sequence[Tensor]) -> None:
    """All hidden states, clip by clip, each filled to 30 s; a longer one in several."""
    extractor = WhisperFeatureExtractor(feature_size=hf.config.num_mel_bins)
    window = extractor.n_samples
    for clip in clips:
        for part in torch.split(clip, window):
            hf(_mels(extractor, part), output_hidden_states=True)


def _mels(extractor: Any, clip: Tensor) -> Tensor:
    found: Tensor = extractor(
        clip.numpy(), sampling_rate=SAMPLING_RATE_HZ, return_tensors="pt"
    ).input_features
    return found


@torch.inference_mode()
def furthest(hf: Any, clips: Sequence[Tensor]) -> float:
    """The largest distance of a clip's states to those of transformers, filled to 30 s."""
    extractor = WhisperFeatureExtractor(feature_size=hf.config.num_mel_bins)
    encoder = encoder_of(hf, "30s")
    ours = encoder(_batch(clips)).split()
    worst = 0.0
    for clip, found in zip(clips, ours, strict=True):
        theirs = hf(_mels(extractor, clip), output_hidden_states=True).hidden_states
        expected = torch.stack(theirs, dim=2)[0, : len(found)]
        worst = max(worst, float((found - expected).norm() / expected.norm()))
    return worst


def _flops(encoder: SpeechTransformer, clips: Sequence[Tensor]) -> float:
    with FlopCounterMode(display=False) as counter:
        in_batches(encoder, clips)
    return float(counter.get_total_flops())
