"""What `sermm bench cached` compares ours with: padded float32 batches and masks, plainly written.

The models take over our weights, so that both compute the same; a test holds them to it. Nothing is
made slow on purpose: it is what one would write with torch's own modules.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from sermm.models.attention import Attention
from sermm.models.coattention import CoAttention
from sermm.models.late_fusion import LateFusion
from sermm.models.transformer_branch import Block

# States `[b t layers d]` and a mask `[b t]`, True where real, by stream.
Padded = Mapping[str, tuple[Tensor, Tensor]]


def padded(
    sequences: Sequence[Shaped[Tensor, "_ layers d"]],
) -> tuple[Float[Tensor, "b t layers d"], Bool[Tensor, "b t"]]:
    """Sequences as a batch in float32, and the mask, True where real.

    Args:
        sequences: of one stream, of unlike lengths.
    """
    states = pad_sequence([one.float() for one in sequences], batch_first=True)
    lengths = torch.tensor([len(one) for one in sequences])
    return states, torch.arange(states.shape[1]) < lengths[:, None]


class PaddedMix(nn.Module):
    """Equation (1) of Zhao 2022 as it is usually written: each layer times its weight, summed.

    Builds a tensor of all weighted layers, which ours does not.

    Args:
        ours: the mix of a stream.
    """

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(ours.weight.detach().clone())
        self.norm = deepcopy(ours.norm)

    def forward(self, states: Float[Tensor, "b t layers d"]) -> Float[Tensor, "b t d"]:
        """Mixed states."""
        mixed = (states * self.weight[:, None]).sum(2) / self.weight.sum()
        normalised: Tensor = self.norm(mixed)
        return normalised


class PaddedLateFusion(nn.Module):
    """Late fusion.

    Args:
        ours: with linear branches.
    """

    def __init__(self, ours: LateFusion) -> None:
        super().__init__()
        self.mixes = nn.ModuleDict({name: PaddedMix(mix) for name, mix in ours.mixes.items()})
        self.branches = deepcopy(ours.branches)
        self.classifiers = deepcopy(ours.classifiers)

    def forward(self, streams: Padded) -> Float[Tensor, "b k"]:
        """Logits."""
        return torch.stack([self._logits(name, *one) for name, one in streams.items()]).sum(0)

    def _logits(self, name: str, states: Tensor, mask: Tensor) -> Tensor:
        branch: Any = self.branches[name]
        vectors = masked_mean(branch.layers(self.mixes[name](states)), mask)
        logits: Tensor = self.classifiers[name](vectors)
        return logits


class PaddedBlock(nn.Module):
    """A transformer layer that reads another stream.

    Args:
        ours: a block of ours.
    """

    def __init__(self, ours: Block) -> None:
        super().__init__()
        self.attention = copied(ours.attention)
        self.norm_attention = deepcopy(ours.norm_attention)
        self.norm_feed_forward = deepcopy(ours.norm_feed_forward)
        self.feed_forward = deepcopy(ours.feed_forward)
        self.dropout = deepcopy(ours.dropout)

    def forward(
        self, own: Float[Tensor, "b t d"], source: Float[Tensor, "b s d"], real: Bool[Tensor, "b s"]
    ) -> Float[Tensor, "b t d"]:
        """New states of `own`.

        Args:
            own: the stream that looks.
            source: the stream that is looked at.
            real: mask of `source`; torch wants it the other way round.
        """
        read, _ = self.attention(own, source, source, key_padding_mask=~real, need_weights=False)
        x = self.norm_attention(own + self.dropout(read))
        new: Tensor = self.norm_feed_forward(x + self.dropout(self.feed_forward(x)))
        return new


class PaddedCoAttention(nn.Module):
    """Co-attention of text and frames.

    Args:
        ours: with these two streams.

    Source: Zhao 2022, as in `sermm.models.coattention`.
    """

    def __init__(self, ours: CoAttention) -> None:
        super().__init__()
        self.mixes = nn.ModuleDict({name: PaddedMix(mix) for name, mix in ours.mixes.items()})
        stack: Any = ours.stacks["frame"]
        self.text = nn.ModuleList(PaddedBlock(layer.text) for layer in stack.layers)
        self.frame = nn.ModuleList(PaddedBlock(layer.speech) for layer in stack.layers)
        self.fuse, self.norm = deepcopy(ours.fuse), deepcopy(ours.norm)
        self.dropout, self.classifier = deepcopy(ours.dropout), deepcopy(ours.classifier)

    def forward(self, streams: Padded) -> Float[Tensor, "b k"]:
        """Logits."""
        masks = {name: mask for name, (_, mask) in streams.items()}
        text, frame = (self.mixes[name](streams[name][0]) for name in ("text", "frame"))
        for read_frame, read_text in zip(self.text, self.frame, strict=True):
            text, frame = (
                read_frame(text, frame, masks["frame"]),
                read_text(frame, text, masks["text"]),
            )
        c = (masked_mean(text, masks["text"]) + masked_mean(frame, masks["frame"])) / 2
        logits: Tensor = self.classifier(self.norm(self.dropout(F.relu(self.fuse(c))) + c))
        return logits


def masked_mean(states: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    """Mean over the real positions; padding takes no part."""
    real = mask[:, :, None]
    return (states * real).sum(1) / real.sum(1)


@torch.no_grad()
def copied(ours: Attention) -> nn.MultiheadAttention:
    """The attention of torch with the weights of ours."""
    width = ours.query.in_features
    theirs = nn.MultiheadAttention(width, ours.heads, ours.dropout, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
    theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs
