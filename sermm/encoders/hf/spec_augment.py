"""SpecAugment along time, over ragged sequences."""

import torch
from jaxtyping import Bool
from torch import Tensor

from sermm.core.ragged import Ragged


def masked_positions(
    sequences: Ragged, probability: float, span: int, minimum: int
) -> Bool[Tensor, " n"]:
    """Draws spans of positions to mask, from torch's global generator.

    A sequence of t positions gets about `probability * t / span` spans, at least `minimum`, and
    never more than fit into it; spans may overlap. One shorter than a span gets none.

    Source: Park et al. 2019; sizes as in wav2vec 2.0 (Baevski et al. 2020).
    Differs from source: no masking along the feature axis.
    """
    masks = []
    for length in sequences.sizes:
        mask = torch.zeros(length, dtype=torch.bool)
        wanted = int(probability * length / span + torch.rand(()).item())
        for _ in range(min(max(wanted, minimum), length // span)):
            start = int(torch.randint(length - span + 1, ()))
            mask[start : start + span] = True
        masks.append(mask)
    return torch.cat(masks).to(sequences.values.device, non_blocking=True)
