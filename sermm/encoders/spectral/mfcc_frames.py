"""MFCC as they are, a frame each 10 ms or fewer: what a system with its own recurrence reads.

Source: Li 2025, section 4.1: 16 kHz, 40 MFCC, "truncation to 10% length for computational balance".
How it is truncated is not said there: `every10` keeps each tenth frame and so the whole utterance,
`head10` the first tenth of the frames, `max10` the frames of the first tenth of the longest
utterance's time.

| paper | code |
| --- | --- |
| x_t | one position of what `forward` gives |

Differs from the source in: batch normalisation, without scale and shift, over the frames that are
kept: by mean and variance of the batch in training, and of a running mean over the training batches
afterwards. The source does not say that coefficients are normalised at all.
"""

import math
from typing import Any, Literal

import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError, expect_one_of
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, Needs, Origin
from sermm.encoders.spectral.encoder import RaggedNorm, thinned
from sermm.encoders.spectral.spectra import HOP_SAMPLES, SAMPLE_RATE_HZ, Spectrum

Truncation = Literal["none", "every10", "head10", "max10"]
_TENTH = 10
_FRAME_S = HOP_SAMPLES / SAMPLE_RATE_HZ


class MfccFrames(Encoder):
    """Waveform -> MFCC `[n 1 n_mfcc]`; every clip has one frame or more.

    Args:
        n_mfcc: coefficients, the zeroth included.
        n_mels: mel bands.
        truncation: none, or one reading of "10 % length".
        longest_s: of `max10`: the longest utterance of the corpus.

    Raises:
        InputError: no such truncation, or a longest utterance of no length.
    """

    needs: frozenset[Needs] = frozenset({"waveform"})
    n_layers = 1

    def __init__(
        self,
        n_mfcc: int = 40,
        n_mels: int = 64,
        truncation: Truncation = "every10",
        longest_s: float = 34.2,
    ) -> None:
        super().__init__()
        expect_one_of("encoder.speech.truncation", truncation, Truncation)
        if longest_s <= 0:
            raise InputError(f"longest_s={longest_s}: expected the length of an utterance")
        self.width = n_mfcc
        self.truncation = truncation
        self.frame_s = _FRAME_S * (_TENTH if truncation == "every10" else 1)
        self._most = math.ceil(longest_s / _TENTH / _FRAME_S)
        self.spectrum = Spectrum("mfcc", n_mels, n_mfcc)
        self.norm = RaggedNorm(n_mfcc, affine=False)

    @classmethod
    def origin(cls, **config: Any) -> Origin:
        """So many MFCC, of which nothing is learned."""
        return Origin(f"{config.get('n_mfcc', 40)} MFCC", "fixed")

    def forward(self, batch: Batch) -> Ragged:
        """Batch-normalised MFCC `[n 1 n_mfcc]` of the frames that are kept.

        Raises:
            InputError: the batch has no waveform.
        """
        if batch.waveform is None:
            raise InputError(f"MFCC need audio, and the batch of {batch.ids[0]} has none")
        with torch.no_grad():
            frames = self._kept(self.spectrum(batch.waveform))
        return frames.map(self.norm).map(lambda values: values.unsqueeze(1))

    def _kept(self, frames: Ragged) -> Ragged:
        if self.truncation == "every10":
            return thinned(frames, _TENTH)
        if self.truncation == "none":
            return frames
        tenth = self.truncation == "head10"
        return Ragged.pack(
            [f[: math.ceil(len(f) / _TENTH) if tenth else self._most] for f in frames.split()]
        )
