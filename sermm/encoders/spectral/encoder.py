"""MFCC or log-mel, a strided convolution, a bidirectional LSTM: learns from a few hundred clips.

Source: the audio branch of Li 2025 (40 MFCC, one BiLSTM with 2 x 128 units).

| paper | code |
| --- | --- |
| x_t (40 MFCC) | `features` |
| h_t | `recurrence` |

Differs from the source in: batch normalisation of the features, without scale and shift (by the
statistics of the batch in training, by their running mean afterwards); `stride` frames are joined
by a convolution before the LSTM, whose cost is its number of steps; slopes, pitch, trimming, and
variations in training. The source's own branch is `n_mfcc=40 deltas=false centred=false pitch=false
channels=0 stride=1 trim_db=null augment=false hidden=128`.

Legend: n samples, m frames of 10 ms, r frames after the stride; of all clips, laid end to end.
"""

from typing import Any, Unpack

import torch
from torch import nn

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, Needs, Origin
from sermm.encoders.recurrent import BiLSTM
from sermm.encoders.spectral.features import FeatureOptions, SpectralFeatures
from sermm.encoders.spectral.perturb import change_speed, mask_features, mask_frames
from sermm.encoders.spectral.spectra import HOP_SAMPLES, SAMPLE_RATE_HZ, trimmed

_KERNEL = 5
_MOST_SPEED = 0.12
_MOST_MASKED_FRAMES = 30
_MASKED_FEATURES = 0.1


class RaggedNorm(nn.BatchNorm1d):
    """Batch normalisation over the real positions of all sequences, `[n d]`.

    A single position has no variance: it is normalised by the running statistics.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Normalised values `[n d]`."""
        if self.training and len(input) < 2:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


class StridedConv(nn.Module):
    """Convolution over 5 frames, every `stride`-th kept; batch norm, ReLU, dropout.

    Beyond a clip's ends it sees zeros, alone and in any batch.

    Args:
        d: input size.
        channels: output size.
        stride: input frames per output frame.
        dropout: of output values.
    """

    def __init__(self, d: int, channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(d, channels, _KERNEL, stride, _KERNEL // 2, bias=False)
        self.after = nn.Sequential(RaggedNorm(channels), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, frames: Ragged) -> Ragged:
        """`[r channels]` of `[m d]`; a clip of t frames has ceil(t / stride)."""
        padded, _ = frames.padded()
        convolved = self.conv(padded.transpose(1, 2)).transpose(1, 2)
        return thinned(frames, self.conv.stride[0]).from_padded(convolved).map(self.after)


def thinned(frames: Ragged, stride: int) -> Ragged:
    """Every `stride`-th frame of each clip, from its first."""
    padded, _ = frames.padded()
    lengths = -(-frames.lengths // stride)
    empty = Ragged(padded.new_zeros(int(lengths.sum()), padded.shape[-1]), lengths)
    return empty.from_padded(padded[:, ::stride])


class SpectralEncoder(Encoder):
    """Waveform -> hidden states `[r 1 2 hidden]`, one each `10 stride` ms. Trained from scratch.

    Args:
        channels: of the convolution before the LSTM; 0 = none, frames are only thinned.
        stride: frames of 10 ms per hidden state.
        hidden: units of the LSTM in each direction.
        n_rnn_layers: stacked BiLSTMs.
        dropout: after the convolution, between LSTM layers and of hidden states.
        trim_db: cut the ends of clips that are this much quieter than their loudest 25 ms (times
            then count from the first sound); None = keep them, as systems with units need.
        augment: in training, vary speed by up to 12 % and mask frames and features.
        features: which ones, see `SpectralFeatures`: kind, n_mels, n_mfcc, deltas, centred, pitch.

    Raises:
        InputError: another kind, more coefficients than bands, or no frame per hidden state.
    """

    needs: frozenset[Needs] = frozenset({"waveform"})

    def __init__(
        self,
        channels: int = 96,
        stride: int = 4,
        hidden: int = 64,
        n_rnn_layers: int = 1,
        dropout: float = 0.3,
        trim_db: float | None = 30.0,
        augment: bool = True,
        **features: Unpack[FeatureOptions],
    ) -> None:
        super().__init__()
        if stride < 1:
            raise InputError(f"encoder.speech.stride={stride}: expected a number of at least 1")
        self.n_layers, self.width = 1, 2 * hidden
        self.stride, self.trim_db, self.augment = stride, trim_db, augment
        # Trimmed or at another speed, a position is no time in the clip.
        timed = trim_db is None and not augment
        self.frame_s = stride * HOP_SAMPLES / SAMPLE_RATE_HZ if timed else None
        self.features = SpectralFeatures(**features)
        d = self.features.width
        self.norm = RaggedNorm(d, affine=False)
        self.conv = StridedConv(d, channels, stride, dropout) if channels else None
        self.recurrence = BiLSTM(channels or d, hidden, n_rnn_layers, dropout)
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def origin(cls, **config: Any) -> Origin:
        """The features by their kind."""
        return Origin(f"{config.get('kind', 'mfcc')} and BiLSTM", "random")

    def forward(self, batch: Batch) -> Ragged:
        """Hidden states `[r 1 2 hidden]`.

        Raises:
            ValueError: the batch has no waveform.
        """
        if batch.waveform is None:
            raise ValueError("the batch has no waveform")
        varied = self.training and self.augment
        waveform = batch.waveform
        if self.trim_db is not None:
            waveform = trimmed(waveform, self.trim_db)
        if varied:
            waveform = change_speed(waveform, _MOST_SPEED)
        frames = self.features(waveform).map(self.norm)
        if varied:
            frames = mask_frames(mask_features(frames, _MASKED_FEATURES), _MOST_MASKED_FRAMES)
        fewer = self.conv(frames) if self.conv is not None else thinned(frames, self.stride)
        states: Ragged = self.recurrence(fewer).map(self.dropout)
        return states.map(lambda values: values.unsqueeze(1))
