"""Kaldi's filter bank as w2v-BERT was trained on it: log powers of mel bands every 10 ms.

frames of 25 ms, only whole ones -> mean removed -> pre-emphasis 0.97 -> Povey's window -> power
spectrum of 512 points -> triangles in mel from 20 Hz to half the sampling rate -> log
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LENGTH = 400
HOP = 160
_POINTS = 512
_PRE_EMPHASIS = 0.97
_FLOOR = 1.192092955078125e-07
# Kaldi counts samples as integers of 16 bits.
_SCALE = 2.0**15


def kaldi_fbank(
    clip: Float[Tensor, " n"], window: Float[Tensor, " 400"], filters: Float[Tensor, "257 mels"]
) -> Float[Tensor, "frames mels"]:
    """Natural logarithms of mel powers, in float32; computed in float64, as faint bands need it.

    Args:
        clip: samples from -1 to 1, at least one frame (400).
        window: in float64.
        filters: by bin of the spectrum, in float64.

    Source: Povey et al. 2011 (Kaldi); the code of transformers, to which it is exact below 1e-4.
    """
    frames = clip.double().mul(_SCALE).unfold(0, LENGTH, HOP)
    frames = frames - frames.mean(dim=1, keepdim=True)
    # The sample before the first one counts as the first.
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    frames = (frames - _PRE_EMPHASIS * before) * window
    power = torch.fft.rfft(F.pad(frames, (0, _POINTS - LENGTH))).abs().square()
    levels: Tensor = (power @ filters).clamp(min=_FLOOR).log()
    return levels.float()


def mel_filters(bands: int, sampling_rate_hz: int) -> Float[Tensor, "257 mels"]:
    """Triangles in mel, in float64."""
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(
        num_frequency_bins=_POINTS // 2 + 1,
        num_mel_filters=bands,
        min_frequency=20,
        max_frequency=sampling_rate_hz // 2,
        sampling_rate=sampling_rate_hz,
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    return torch.from_numpy(filters).double()


def povey_window() -> Float[Tensor, " 400"]:
    """Hann's window to the power of 0.85, in float64."""
    return torch.hann_window(LENGTH, periodic=False, dtype=torch.float64).pow(0.85)
