"""One encoder behind several streams, run once a batch."""

from weakref import ReferenceType, ref

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.wrapper import Wrapper


class Shared(Wrapper):
    """Hands on the hidden states of the last batch as long as the same batch is asked for.

    Args:
        encoder: what several streams read.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self._batch: ReferenceType[Batch] | None = None
        self._hidden: Ragged | None = None

    def forward(self, batch: Batch) -> Ragged:
        """Hidden states `[n layers d]`."""
        if self._hidden is None or self._batch is None or self._batch() is not batch:
            self._hidden = self.encoder(batch)
            self._batch = ref(batch, self._forget)
        return self._hidden

    def _forget(self, _batch: object) -> None:
        self._hidden = None
