"""Whisper's log-mel spectrogram of single clips, as it is within clips filled with silence.

Whisper was trained on clips filled with zeros to 30 s. Of a clip's own frames the silence changes
no more than the last two, whose windows reach into it, and the scale (the loudest band of all
frames) is the clip's. So what is computed of the clip alone, and a constant after it, is the
spectrogram of the filled one.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

HOP = 160
_WINDOW = 400
_FLOOR = 1e-10
# In units of log10; what lies further below the loudest band counts as that.
_RANGE = 8.0


def log_mel(
    clip: Float[Tensor, " n"], frames: int, window: int, filters: Float[Tensor, "bins mels"]
) -> Float[Tensor, "mels frames"]:
    """The first frames, 10 ms apart, of a clip that is followed by silence to `window` samples.

    log10 of the mel power, no more than 8 below the clip's largest, plus 4, divided by 4.

    Args:
        clip: samples, at most `window`.
        frames: how many; at most `window / 160`.
        window: samples that a model hears at once.
        filters: mel filters for a spectrum of 201 bins.

    Source: Radford et al. 2023; the code of transformers, to which it is exact below 1e-4.
    """
    audible = min(window, len(clip) + 2 * _WINDOW)
    filled = F.pad(clip.float(), (0, audible - len(clip)))
    hann = torch.hann_window(_WINDOW, device=clip.device)
    spectrum = torch.stft(filled, _WINDOW, HOP, window=hann, return_complex=True)
    power = filters.T @ spectrum[:, :-1].abs().square()
    levels = power.clamp(min=_FLOOR).log10()
    levels = F.pad(levels, (0, max(0, frames - levels.shape[1])), value=-10.0)
    lowest = levels.max() - _RANGE
    return (torch.maximum(levels[:, :frames], lowest) + 4.0) / 4.0


def in_strips(
    spectra: Sequence[Float[Tensor, "mels _"]], gap: int
) -> tuple[Float[Tensor, "1 mels m"], list[int]]:
    """Spectra end to end with zeros between and around them, and where each starts."""
    parts, starts, at = [], [], gap
    for one in spectra:
        starts.append(at)
        parts.append(F.pad(one, (0, gap)))
        at += one.shape[1] + gap
    return F.pad(torch.cat(parts, dim=1), (gap, 0))[None], starts
