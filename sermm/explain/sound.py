"""What is in the sound at the positions of a stream: energy, and its share above 4 kHz.

Positions may be frames of 20 ms, phones or words, so power is computed once on a fine grid (10 ms)
and averaged over whatever stretch is asked for. The share above 4 kHz is what Li 2025 reports
attention on; it is large in fricatives.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sermm.core.ragged import Ragged
from sermm.data.audio import SAMPLE_RATE_HZ
from sermm.encoders.spectral.spectra import HOP_SAMPLES, framed

HIGH_HZ = 4000
HOP_S = HOP_SAMPLES / SAMPLE_RATE_HZ
_WINDOW_SAMPLES, _N_FFT = 400, 512
_SILENCE = 1e-12


@dataclass(frozen=True, eq=False)
class Sound:
    """Power spectra of an utterance, Hann windows of 25 ms centred on every 10 ms.

    Attributes:
        waveform: `[t]`, samples at 16 kHz.
        power: `[k f]`, k windows, f frequencies from 0 to 8 kHz.
    """

    waveform: Float[np.ndarray, " t"]
    power: Float[np.ndarray, "k f"]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.waveform) / SAMPLE_RATE_HZ

    def at(
        self, times: Float[np.ndarray, "n 2"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Energy (mean power) and its share above 4 kHz from each start to each end.

        The share of silence is NaN. A stretch between two windows gets the one nearest to it.

        Args:
            times: start and end of n stretches in seconds, end exclusive.

        Returns:
            Energy and share of each, share from 0 to 1.
        """
        centres = HOP_S * np.arange(len(self.power))
        energy, share = np.zeros(len(times)), np.full(len(times), np.nan)
        for i, (start, end) in enumerate(times):
            # Multiples of 10 ms are not exact in binary: a thousandth of a hop takes care of it.
            inside = (centres >= start - HOP_S / 1e3) & (centres < end - HOP_S / 1e3)
            if not inside.any():
                inside[np.abs(centres - (start + end) / 2).argmin()] = True
            total, high = _totals(self.power[inside])
            energy[i] = total
            if total > _SILENCE:
                share[i] = high / total
        return energy, share


def sound_of(waveform: Float[Tensor, " t"]) -> Sound:
    """The power spectra of a waveform of 16 kHz."""
    frames = framed(Ragged.pack([waveform]), _WINDOW_SAMPLES, HOP_SAMPLES).values
    spectrum = torch.fft.rfft(frames * torch.hann_window(_WINDOW_SAMPLES), _N_FFT)
    return Sound(waveform.numpy(), spectrum.abs().square().double().numpy())


def _totals(power: Float[np.ndarray, "k f"]) -> tuple[float, float]:
    """Mean over the windows of all power, and of that above 4 kHz."""
    hertz = np.linspace(0, SAMPLE_RATE_HZ / 2, power.shape[1])
    mean = power.mean(0)
    return float(mean.sum()), float(mean[hertz > HIGH_HZ].sum())
