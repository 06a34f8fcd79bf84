"""SEW (Wu et al. 2022): wav2vec 2.0 whose layers work at half the rate of its frames.

    frames, 20 ms -> positional convolution + mean of every two -> layers -> upsampling, 20 ms

One rate comes out, that of the frames. The highest number is the last hidden state, as transformers
gives it: behind the upsampling, and zeros in the last frame of a clip of an odd number of them.
Below, what stands for two frames is given to both, and to the odd one after the last two.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sermm.core.ragged import Ragged
from sermm.encoders.hf.families import ragged_attention
from sermm.encoders.hf.families.waveform_family import WaveformFamily, receptive_field
from sermm.encoders.hf.layer_drop import run_through


class SEWFamily(WaveformFamily):
    """SEW; a clip is at least as long as one squeezed frame."""

    model_types = ("sew",)

    def _take_over(self, encoder: Any) -> None:
        config = self.hf.config
        self.on_top = [encoder.upsample]
        self._factor = config.squeeze_factor
        self._shortest = receptive_field(
            [*config.conv_kernel, self._factor], [*config.conv_stride, self._factor]
        )
        ragged_attention.attend_by_clip(encoder)

    def _project(self, features: Ragged) -> Ragged:
        values = self.hf.layer_norm(features.values)
        if self.hf.project_features:
            values = self.hf.feature_projection(values)
        return features.with_values(self.hf.feature_dropout(values))

    def _contextualise(self, frames: Ragged, chosen: Sequence[int]) -> list[Float[Tensor, "n d"]]:
        encoder, top = self.hf.encoder, len(self.blocks)
        squeezed = Ragged.pack([self._squeeze(clip) for clip in frames.split()])
        states = encoder.dropout(encoder.layer_norm(squeezed.values))[None]
        drops = self.hf.config.layerdrop if self.hf.training else 0.0
        found = run_through(self.blocks, states, set(chosen), drops, frames=squeezed)
        own = {number: squeezed.with_values(state[0]) for number, state in found.items()}
        at_rate = dict.fromkeys(own, self._spread) | {top: self._upsampled}
        return [at_rate[number](own[number], frames) for number in chosen]

    def _squeeze(self, clip: Float[Tensor, "t d"]) -> Float[Tensor, "u d"]:
        """The mean of every two frames plus their positions; an odd last frame has no mean."""
        encoder, across = self.hf.encoder, clip.T[None]
        means, positions = encoder.pool(across), encoder.pos_conv_embed(across)
        n = min(means.shape[-1], positions.shape[-1])
        states: Tensor = means[..., :n] + positions[..., :n]
        return states[0].T

    def _upsampled(self, states: Ragged, frames: Ragged) -> Float[Tensor, "n d"]:
        up = self.hf.encoder.upsample(states.values[None])[0]
        parts = torch.split(up, [self._factor * size for size in states.sizes])
        return torch.cat(
            [F.pad(p, (0, 0, 0, n - len(p))) for p, n in zip(parts, frames.sizes, strict=True)]
        )

    def _spread(self, states: Ragged, frames: Ragged) -> Float[Tensor, "n d"]:
        parts = []
        for part, n in zip(states.split(), frames.sizes, strict=True):
            at = (torch.arange(n, device=part.device) // self._factor).clamp(max=len(part) - 1)
            parts.append(part[at])
        return torch.cat(parts)
