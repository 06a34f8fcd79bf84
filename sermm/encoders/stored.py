"""Stands in for a frozen encoder whose hidden states come from the feature store."""

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, Modality


class Stored(Encoder):
    """Hands on what the batch holds of a stream, in the type it is stored in.

    Args:
        stream: its name in `Batch.cached`.
        width: d.
        n_layers: hidden states a position.
        modality: of the encoder that it stands in for.
    """

    needs = frozenset()

    def __init__(
        self, stream: str, width: int, n_layers: int, modality: Modality = "speech"
    ) -> None:
        super().__init__()
        self.stream, self.modality = stream, modality
        self.width, self.n_layers = width, n_layers

    def forward(self, batch: Batch) -> Ragged:
        """Hidden states `[n layers d]`.

        Raises:
            InputError: the batch holds no such stream.
        """
        if self.stream not in batch.cached:
            raise InputError(f"the batch of {batch.ids[0]} holds no stored stream {self.stream!r}")
        return batch.cached[self.stream]
