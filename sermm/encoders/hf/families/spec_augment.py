"""SpecAugment along time, over ragged sequences."""

from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from sermm.core.errors import InputError
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


def settle_mask(hf: Any, asked: bool, trained: bool) -> None:
    """What stands in for masked frames is trained if the model is, and frames are masked at all.

    Raises:
        InputError: frames are to be masked, and the model has nothing to stand in for them.
    """
    if hasattr(hf, "masked_spec_embed"):
        hf.masked_spec_embed.requires_grad_(asked and trained)
    elif asked:
        raise InputError(
            "encoder.speech.spec_augment=true: this encoder masks nothing (mask_time_prob is 0 in "
            "its config.json), so it has no mask embedding; set spec_augment=false"
        )


def with_masks(frames: Ragged, hf: Any) -> Ragged:
    """Spans of frames `[n d]` replaced by the model's mask embedding, with its own sizes."""
    config, values = hf.config, frames.values
    masked = masked_positions(
        frames, config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks
    )
    fill = hf.masked_spec_embed.to(values.dtype)
    return frames.with_values(torch.where(masked[:, None], fill, values))
