"""Modality dropout: in training some utterances lose what one modality says of them.

Source: Li 2025, section 5.1, names it and no more; Neverova et al. 2016 ("ModDrop"). Ours: which
utterances lose which modality is drawn by `lost`, never both; `Batch.absent` carries it, and each
encoder of a lost modality gives zeros or a learned vector in place of its states. Lengths stay.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.wrapper import Wrapper

Fill = Literal["zero", "learned"]
FILLS = get_args(Fill)
# As BERT's embeddings start.
_DEVIATION = 0.02


def lost(b: int, p: float) -> dict[str, Bool[Tensor, " b"]]:
    """Draws `Batch.absent` of b utterances, on the CPU, from torch's global generator.

    Each loses one modality with probability p; which one, at even odds.
    """
    loses, speech = torch.rand(b) < p, torch.rand(b) < 0.5
    return {"speech": loses & speech, "text": loses & ~speech}


class ModalityDropout(Wrapper):
    """An encoder whose hidden states are replaced where `Batch.absent` says so; only in training.

    Args:
        encoder: any.
        fill: zero, or learned: a vector `[layers d]` that learns with `learning.lr`.
    """

    fill: nn.Parameter | None

    def __init__(self, encoder: Encoder, fill: Fill) -> None:
        super().__init__(encoder)
        vector = _DEVIATION * torch.randn(self.n_layers, self.width) if fill == "learned" else None
        self.register_parameter("fill", None if vector is None else nn.Parameter(vector))

    def forward(self, batch: Batch) -> Ragged:
        """Hidden states `[n layers d]`."""
        hidden: Ragged = self.encoder(batch)
        if not self._replaces(batch):
            return hidden
        where = hidden.repeat(batch.absent[self.modality])[:, None, None]
        values = hidden.values
        # With nothing lost, too: every process must have a gradient for it.
        fill = values.new_zeros(()) if self.fill is None else self.fill.to(values.dtype)
        return hidden.with_values(torch.where(where, fill, values))

    def mixed(self, batch: Batch, mix: Callable[..., Ragged]) -> Ragged:
        """Mixed states `[n d]`; as the encoder mixes them where nothing is replaced."""
        return (
            super().mixed(batch, mix) if self._replaces(batch) else self.encoder.mixed(batch, mix)
        )

    def _replaces(self, batch: Batch) -> bool:
        return self.training and self.modality in batch.absent
