"""Embeddings as a fixed pre-trained table plus a learned residual.

Source: Li 2025, equation (2), "Gradient-Disentangled Embedding Sharing (GDES)":
E_new = E_pretrain + dE. (In DeBERTa-v3 itself, He et al. 2021, GDES is a device of pre-training,
and the released weights are already the sum.)

| paper | code |
| --- | --- |
| E_pretrain | `pretrained`, a buffer that nothing trains |
| dE | `residual`, zero at the start; or the product of `low` and `up`, of which `low` is zero |

With plain SGD this would equal ordinary fine-tuning. With AdamW the difference is weight decay,
which pulls to the pre-trained table instead of to zero, and a learning rate of its own
(`model.learning.embedding_lr`).
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from sermm.core.errors import InputError

Gdes = Literal["none", "full"] | int


class ResidualEmbedding(nn.Module):
    """Stands in for an `nn.Embedding` and gives what it gave until training moves the residual.

    Args:
        table: the embedding whose weights are E_pretrain.
        rank: of dE; None: as many as it has columns.

    Raises:
        InputError: a rank below 1 or not below the number of columns.
    """

    pretrained: Tensor

    def __init__(self, table: nn.Embedding, rank: int | None) -> None:
        super().__init__()
        v, d = table.weight.shape
        if rank is not None and not 1 <= rank < d:
            raise InputError(f"encoder.text.gdes={rank}: expected none, full, or a rank below {d}")
        self.padding_idx = table.padding_idx
        self.register_buffer("pretrained", table.weight.detach().clone())
        if rank is None:
            self.residual = nn.Parameter(torch.zeros(v, d))
        else:
            self.low = nn.Parameter(torch.zeros(v, rank))
            self.up = nn.Parameter(torch.randn(rank, d) / rank**0.5)

    def forward(self, ids: Int[Tensor, "*n"]) -> Float[Tensor, "*n d"]:
        """E_new of token ids; the padding id learns nothing."""
        fixed = F.embedding(ids, self.pretrained)
        if hasattr(self, "residual"):
            return fixed + F.embedding(ids, self.residual, self.padding_idx)
        return fixed + F.embedding(ids, self.low, self.padding_idx) @ self.up


def with_residual(hf: Any, gdes: Gdes, trained: bool) -> None:
    """Gives the word embeddings of a Hugging Face text model a residual, unless `none`.

    Args:
        hf: the model, changed in place.
        gdes: none, full, or the rank of dE.
        trained: whether the embeddings are to be trained.

    Raises:
        InputError: no such choice, or the embeddings stay as they are.
    """
    if gdes == "none":
        return
    if isinstance(gdes, bool) or not (gdes == "full" or isinstance(gdes, int)):
        raise InputError(f"encoder.text.gdes={gdes}: expected none, full, or a rank such as 16")
    if not trained:
        raise InputError(
            f"encoder.text.gdes={gdes} learns a residual of the embeddings, and these are not "
            "trained; use features=finetune with encoder.text.trainable=all, or "
            "encoder.text.gdes=none"
        )
    table = hf.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        raise InputError("encoder.text.gdes: this model has no table of word embeddings")
    hf.set_input_embeddings(ResidualEmbedding(table, None if gdes == "full" else gdes))


def residuals_in(module: nn.Module) -> list[ResidualEmbedding]:
    """The embeddings with a residual in a system."""
    return [part for part in module.modules() if isinstance(part, ResidualEmbedding)]
