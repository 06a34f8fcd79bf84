"""MFCC or log-mel and pitch by frame, as they are: an encoder that learns nothing."""

from typing import Any, Unpack

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, Needs, Origin
from sermm.encoders.spectral.features import FeatureOptions, SpectralFeatures
from sermm.encoders.spectral.spectra import HOP_SAMPLES, SAMPLE_RATE_HZ, trimmed


class SpectralFrames(Encoder):
    """Waveform -> values `[m 1 d]` of frames of 10 ms.

    Args:
        trim_db: cut the ends of clips that are this much quieter than their loudest 25 ms; None =
            keep them.
        features: which ones, see `SpectralFeatures`.

    Raises:
        InputError: another kind, or more coefficients than bands.
    """

    needs: frozenset[Needs] = frozenset({"waveform"})

    def __init__(self, trim_db: float | None = 30.0, **features: Unpack[FeatureOptions]) -> None:
        super().__init__()
        self.features = SpectralFeatures(**features)
        self.n_layers, self.width = 1, self.features.width
        self.trim_db = trim_db
        self.frame_s = HOP_SAMPLES / SAMPLE_RATE_HZ if trim_db is None else None

    @classmethod
    def origin(cls, **config: Any) -> Origin:
        """The features by their kind."""
        return Origin(f"{config.get('kind', 'mfcc')} and pitch", "fixed")

    def forward(self, batch: Batch) -> Ragged:
        """Values `[m 1 d]`.

        Raises:
            ValueError: the batch has no waveform.
        """
        if batch.waveform is None:
            raise ValueError("the batch has no waveform")
        waveform = batch.waveform if self.trim_db is None else trimmed(batch.waveform, self.trim_db)
        frames: Ragged = self.features(waveform)
        return frames.map(lambda values: values.unsqueeze(1))
