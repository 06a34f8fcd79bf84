"""The case `features` of `sermm bench`: hidden states of a frozen wav2vec2-base over speech.

What is compared with, in the same run: Hugging Face's model on one clip at a time (EmoBox,
emotion2vec) and on random padded batches of eight (s3prl), both in float32 and without reading or
writing; and the rate at which the machine multiplies matrices.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.flop_counter import FlopCounterMode
from transformers import Wav2Vec2Config, Wav2Vec2Model

from sermm.bench.measures import Measurement
from sermm.bench.timing import best_of, ratio
from sermm.core.seeding import generator
from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ
from sermm.encoders.precision import Precision, bfloat16_is_fast

Ours = Callable[[Precision], float]
DTYPES: dict[Precision, torch.dtype] = {"32-true": torch.float32, "bf16-true": torch.bfloat16}
# Natural logarithm of IEMOCAP's lengths in seconds: mean 4.5 s, deviation 3.2 s.
_LENGTHS = NormalDist(1.30, 0.64)
_SHORTEST_S, _LONGEST_S = 0.6, 34.0
_PADDED = 8


def wav2vec2_base() -> Any:
    """Its architecture, with random weights."""
    torch.manual_seed(0)
    return Wav2Vec2Model(Wav2Vec2Config()).eval()


def noise(n: int) -> list[Tensor]:
    """Clips in random order, lengths the quantiles of IEMOCAP's; 54 make four minutes.

    Quantiles instead of draws: few clips have IEMOCAP's spread of lengths, on which padding
    depends.

    Args:
        n: clips.

    Returns:
        Samples at 16 kHz.
    """
    rng = generator(0, "bench", n)
    quantiles = [_LENGTHS.inv_cdf((index + 0.5) / n) for index in rng.permutation(n)]
    seconds = torch.tensor(quantiles).exp().clamp(_SHORTEST_S, _LONGEST_S).tolist()
    samples = [round(SAMPLING_RATE_HZ * s) for s in seconds]
    return [0.1 * torch.tensor(rng.normal(size=count)).float() for count in samples]


def measures(hf: Any, clips: Sequence[Tensor], ours: Ours) -> list[Measurement]:
    """Three minutes' work on two cores for four minutes of speech.

    Args:
        hf: what runs bare; left as it is.
        clips: samples at 16 kHz.
        ours: seconds that the same clips take in a precision.
    """
    flops = _flops(hf, clips)
    bare: list[float] = []
    took: dict[Precision, list[float]] = {precision: [] for precision in DTYPES}
    # In turns, so that a busy moment of the machine does not fall on one of them alone.
    for _ in range(2):
        bare.append(best_of(1, lambda: one_by_one(hf, clips)))
        for precision, times in took.items():
            times.append(ours(precision))
    padded_s = best_of(1, lambda: random_padded(hf, clips))
    seconds = sum(map(len, clips)) / SAMPLING_RATE_HZ
    rows = [_speed("bare, one clip at a time, float32", seconds, min(bare))]
    rows.append(_speed(f"bare, random padded batches of {_PADDED}, float32", seconds, padded_s))
    for precision, times in took.items():
        rows += _ours(precision, seconds, min(times), min(bare), padded_s)
        rate = flops / min(times) / matrix_rate(DTYPES[precision])
        rows.append(_measure(f"{precision}: share of the matrix rate", 100 * rate, "%"))
    return rows


def _ours(
    precision: Precision, seconds: float, ours_s: float, bare_s: float, padded_s: float
) -> list[Measurement]:
    """Our speed, and its ratios to both bare loops; judged where bfloat16 is fast."""
    judged = precision == "bf16-true" and bfloat16_is_fast("cpu")
    limits = (1 / 2, 1 / 5) if judged else (None, None)
    return [
        _speed(precision, seconds, ours_s),
        _measure(f"{precision}: time to one clip at a time", ratio(ours_s, bare_s), "x", limits[0]),
        _measure(f"{precision}: time to random padded", ratio(ours_s, padded_s), "x", limits[1]),
    ]


def _measure(what: str, value: float, unit: str, limit: float | None = None) -> Measurement:
    return Measurement("features", what, value, unit, limit)


def _speed(what: str, seconds: float, took_s: float) -> Measurement:
    """Seconds of speech in a second."""
    return _measure(what, seconds / took_s, "x real time")


@torch.no_grad()
def one_by_one(hf: Any, clips: Sequence[Tensor]) -> None:
    """All hidden states, clip by clip."""
    for clip in clips:
        hf(clip[None], output_hidden_states=True)


@torch.no_grad()
def random_padded(hf: Any, clips: Sequence[Tensor]) -> None:
    """All hidden states, eight clips at a time as they come, padded to the longest of them."""
    for start in range(0, len(clips), _PADDED):
        some = clips[start : start + _PADDED]
        mask = pad_sequence([torch.ones(len(clip), dtype=torch.long) for clip in some], True)
        hf(pad_sequence(list(some), True), attention_mask=mask, output_hidden_states=True)


def matrix_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product: the machine's best."""
    size = 2048
    matrix = torch.randn(size, size).to(dtype)
    return 2 * size**3 / best_of(10, lambda: matrix @ matrix)


def _flops(hf: Any, clips: Sequence[Tensor]) -> float:
    """Of convolutions and linear layers over all clips; they grow with the length."""
    clip = clips[0]
    with FlopCounterMode(display=False) as counter:
        one_by_one(hf, [clip])
    return float(counter.get_total_flops()) / len(clip) * sum(map(len, clips))
