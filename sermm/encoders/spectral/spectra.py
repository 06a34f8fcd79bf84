"""What can be measured in 25 ms of speech: log-mel bands, MFCC, pitch. Nothing here is learned.

Clips are cut into frames one by one, so no frame sees two clips and a clip's measurements do not
depend on its batch mates; everything after that is done for all frames of a batch at once.

Legend: n samples in all, m frames in all.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchaudio.functional import create_dct, melscale_fbanks

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160
_WINDOW_SAMPLES = 400
_N_FFT = 512
_FLOOR = 1e-6
_PITCH_WINDOW_SAMPLES = 640
_LOWEST_HZ, _HIGHEST_HZ = 60, 400
# An octave below the true pitch correlates as well; this much per octave prefers the higher one.
_OCTAVE_COST = 0.01


def framed(waveform: Ragged, window: int, hop: int) -> Ragged:
    """Frames `[m window]` centred on every `hop`-th sample, silence before and after each clip.

    A clip of s samples has 1 + s // hop frames, so an empty one has a frame of silence.
    """
    half = window // 2
    return Ragged.pack(
        [F.pad(clip, (half, half)).unfold(0, window, hop) for clip in waveform.split()]
    )


def trimmed(waveform: Ragged, below_db: float) -> Ragged:
    """Cuts silence off both ends of each clip: 25 ms stretches `below_db` under its loudest one.

    Acted corpora pad clips with a second of silence, which dilutes every mean over time.
    """
    return Ragged.pack([_sounding(clip, 10 ** (-below_db / 10)) for clip in waveform.split()])


def _sounding(clip: Float[Tensor, " s"], share: float) -> Float[Tensor, " r"]:
    if len(clip) < _WINDOW_SAMPLES:
        return clip
    power = F.avg_pool1d(clip.square()[None], _WINDOW_SAMPLES, HOP_SAMPLES)[0]
    loud = torch.nonzero(power >= share * power.max()).flatten().tolist()
    end = HOP_SAMPLES * loud[-1] + _WINDOW_SAMPLES if loud[-1] + 1 < len(power) else len(clip)
    return clip[HOP_SAMPLES * loud[0] : end]


def _power(frames: Float[Tensor, "m window"]) -> Float[Tensor, "m bins"]:
    spectrum = torch.fft.rfft(frames, _N_FFT)
    # Twice as fast as abs().square(), which takes a root.
    power: Tensor = spectrum.real.square() + spectrum.imag.square()
    return power


class Spectrum(nn.Module):
    """Log-mel energies or MFCC of 25 ms Hann windows every 10 ms.

    Natural logarithm of band energies + 1e-6; triangular HTK mel bands from 20 Hz to 8 kHz;
    orthonormal DCT-II. Equal to torchaudio's transforms with `log_mels=True` and zero padding.

    Args:
        kind: "mfcc" or "logmel".
        n_mels: bands.
        n_mfcc: coefficients kept, the zeroth included; without effect on "logmel".

    Attributes:
        width: values a frame.

    Raises:
        InputError: another kind, or more coefficients than bands.
    """

    window: Tensor
    bands: Tensor
    dct: Tensor | None

    def __init__(self, kind: str, n_mels: int = 64, n_mfcc: int = 40) -> None:
        super().__init__()
        if kind not in ("mfcc", "logmel"):
            raise InputError(f"kind of spectrum: got {kind!r}, expected mfcc or logmel")
        if kind == "mfcc" and n_mfcc > n_mels:
            raise InputError(f"n_mfcc={n_mfcc} exceeds n_mels={n_mels}; raise n_mels")
        self.width = n_mfcc if kind == "mfcc" else n_mels
        bands = melscale_fbanks(_N_FFT // 2 + 1, 20.0, SAMPLE_RATE_HZ / 2, n_mels, SAMPLE_RATE_HZ)
        dct = create_dct(n_mfcc, n_mels, "ortho") if kind == "mfcc" else None
        room = (_N_FFT - _WINDOW_SAMPLES) // 2
        window = F.pad(torch.hann_window(_WINDOW_SAMPLES), (room, room))
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("dct", dct, persistent=False)

    def forward(self, waveform: Ragged) -> Ragged:
        """`[m width]` of samples `[n]`."""
        return framed(waveform, _N_FFT, HOP_SAMPLES).map(self._measured)

    def _measured(self, frames: Float[Tensor, "m window"]) -> Float[Tensor, "m width"]:
        energies = (_power(frames * self.window) @ self.bands + _FLOOR).log()
        return energies if self.dct is None else energies @ self.dct


class Pitch(nn.Module):
    """Voicing 0..1 and pitch, octaves above 100 Hz, times voicing (so 0 where unvoiced).

    The highest peak of the window-corrected autocorrelation between 60 and 400 Hz, in 40 ms at
    8 kHz. Crude (no tracking), but cheap enough for every epoch.

    Source: the correction is Boersma 1993, equation (9).
    """

    width = 2
    window: Tensor
    own: Tensor
    cost: Tensor
    octaves: Tensor

    def __init__(self) -> None:
        super().__init__()
        rate = SAMPLE_RATE_HZ // 2
        self.shortest, self.longest = rate // _HIGHEST_HZ, rate // _LOWEST_HZ
        window = torch.hann_window(_PITCH_WINDOW_SAMPLES // 2)
        own = _autocorrelation(window[None])[0] / window.square().sum()
        lags = torch.arange(self.shortest, self.longest + 1)
        octaves = torch.log2(rate / lags / 100)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("own", own[self.shortest : self.longest + 1], persistent=False)
        self.register_buffer("octaves", octaves, persistent=False)
        self.register_buffer("cost", _OCTAVE_COST * (octaves[0] - octaves), persistent=False)

    def forward(self, waveform: Ragged) -> Ragged:
        """`[m 2]` of samples `[n]`."""
        halved = Ragged.pack([_halved(clip) for clip in waveform.split()])
        return framed(halved, _PITCH_WINDOW_SAMPLES // 2, HOP_SAMPLES // 2).map(self._measured)

    def _measured(self, frames: Float[Tensor, "m window"]) -> Float[Tensor, "m 2"]:
        correlation = _autocorrelation((frames - frames.mean(-1, keepdim=True)) * self.window)
        # The constant keeps silence unvoiced.
        energy = correlation[:, :1] + 1e-4
        peak = correlation[:, self.shortest : self.longest + 1] / energy / self.own - self.cost
        voicing, lag = peak.max(-1)
        voicing = voicing.clamp(0, 1)
        return torch.stack([voicing, voicing * self.octaves[lag]], -1)


def _halved(clip: Float[Tensor, " s"]) -> Float[Tensor, " r"]:
    """At half the sampling rate; the mean of two samples is filter enough for pitch."""
    pairs = len(clip) // 2
    return clip[: 2 * pairs].reshape(pairs, 2).mean(-1)


def _autocorrelation(frames: Float[Tensor, "m window"]) -> Float[Tensor, "m lags"]:
    """Without wrap-around up to 192 lags of 320 samples."""
    correlation: Tensor = torch.fft.irfft(_power(frames))
    return correlation


def deltas(frames: Ragged) -> Ragged:
    """Slope over five frames: sum_k k (x_{t+k} - x_{t-k}) / 10, k = 1, 2; end frames repeated."""
    ends = torch.cumsum(frames.lengths, 0)
    position = torch.arange(len(frames.values))
    last = torch.repeat_interleave(ends, frames.lengths) - 1
    first = torch.repeat_interleave(ends - frames.lengths, frames.lengths)

    def moved(by: int) -> Tensor:
        return frames.values[(position + by).clamp(first, last).to(frames.values.device)]

    return frames.with_values((2 * (moved(2) - moved(-2)) + moved(1) - moved(-1)) / 10)
