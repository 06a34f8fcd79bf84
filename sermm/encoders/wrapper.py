"""What is put around an encoder and is one itself: the same answers, other hidden states."""

from collections.abc import Iterable
from pathlib import Path

from sermm.encoders.base import Encoder


class Wrapper(Encoder):
    """Answers every question as the encoder inside does, but for what a subclass says otherwise.

    Neither storable nor reloadable: both are asked of the encoder inside.

    Args:
        encoder: what is inside.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.modality = encoder.modality
        self.needs, self.frame_s = encoder.needs, encoder.frame_s
        self.width, self.n_layers = encoder.width, encoder.n_layers
        self.pretrained = encoder.pretrained

    def fit(self, transcripts: Iterable[str]) -> None:
        """As the encoder does."""
        self.encoder.fit(transcripts)

    def positions(self, length: int) -> int:
        """As many as the encoder gives."""
        return self.encoder.positions(length)

    def save_assets(self, folder: Path) -> None:
        """As the encoder does."""
        self.encoder.save_assets(folder)
