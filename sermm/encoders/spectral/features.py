"""What a frame is described by before anything is learned: spectrum, slopes, pitch."""

from typing import TypedDict

import torch
from torch import nn

from sermm.core.ragged import Ragged
from sermm.encoders.spectral.spectra import Pitch, Spectrum, deltas


class FeatureOptions(TypedDict, total=False):
    """The arguments of `SpectralFeatures`, for those who hand them on."""

    kind: str
    n_mels: int
    n_mfcc: int
    deltas: bool
    centred: bool
    pitch: bool


class SpectralFeatures(nn.Module):
    """Samples `[n]` -> values `[m width]` of the frames of 10 ms; nothing in it learns.

    Args:
        kind: "mfcc" or "logmel".
        n_mels: mel bands.
        n_mfcc: coefficients, of "mfcc".
        deltas: add the slopes of the spectrum.
        centred: add the spectrum less its mean over the clip, which knows no talker or channel.
        pitch: add voicing and pitch.

    Attributes:
        width: values a frame.

    Raises:
        InputError: another kind, or more coefficients than bands.
    """

    def __init__(
        self,
        kind: str = "mfcc",
        n_mels: int = 64,
        n_mfcc: int = 40,
        deltas: bool = True,
        centred: bool = True,
        pitch: bool = True,
    ) -> None:
        super().__init__()
        self.deltas, self.centred = deltas, centred
        self.spectrum = Spectrum(kind, n_mels, n_mfcc)
        self.pitch = Pitch() if pitch else None
        self.width = self.spectrum.width * (1 + deltas + centred) + Pitch.width * pitch

    @torch.no_grad()
    def forward(self, waveform: Ragged) -> Ragged:
        """Spectrum, centred, slopes, voicing and pitch, side by side."""
        spectrum: Ragged = self.spectrum(waveform)
        parts = [spectrum.values]
        if self.centred:
            parts.append(spectrum.values - spectrum.repeat(spectrum.mean()))
        if self.deltas:
            parts.append(deltas(spectrum).values)
        if self.pitch is not None:
            parts.append(self.pitch(waveform).values)
        return spectrum.with_values(torch.cat(parts, -1))
