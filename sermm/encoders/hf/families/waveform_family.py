"""wav2vec 2.0 and its like, whose convolutions read the waveform: exact over ragged batches.

The clips of a batch lie end to end in one sequence without padding, through the whole model. What
is not position-wise is kept within each clip:

- the convolutional front end with its group norm over time (`front_end`);
- positional convolutions, by zeros between the clips (`positional_gaps`);
- attention (`ragged_attention`, `wavlm_attention`).

Frame counts are those that the front end gives the clip alone.
"""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.ragged import Ragged
from sermm.encoders.hf.base import recomputed
from sermm.encoders.hf.families import ragged_attention, wavlm_attention
from sermm.encoders.hf.families.front_end import features_of, positions, strips
from sermm.encoders.hf.families.positional_gaps import gaps_between
from sermm.encoders.hf.families.spec_augment import settle_mask, with_masks
from sermm.encoders.hf.families.speech_family import (
    SAMPLING_RATE_HZ,
    Context,
    SpeechFamily,
    zero_mean_unit_variance,
)
from sermm.encoders.hf.layer_drop import collected_inputs

# Clips run through the front end at once on a GPU, for which one clip is little work; on a CPU one
# by one is faster, as the memory of the first layers is used again while it is in the cache.
_STRIP_S = 60


class WaveformFamily(SpeechFamily):
    """wav2vec 2.0, HuBERT, WavLM, data2vec-audio and both UniSpeech."""

    model_types: ClassVar[tuple[str, ...]] = (
        "wav2vec2",
        "hubert",
        "wavlm",
        "data2vec-audio",
        "unispeech",
        "unispeech-sat",
    )

    def __init__(
        self, hf: Any, normalise: bool, spec_augment: bool, context: Context = None
    ) -> None:
        super().__init__(hf, normalise, spec_augment, context)
        config = hf.config
        self.blocks = list(hf.encoder.layers)
        self.front = [hf.feature_extractor]
        self.frame_s = math.prod(config.conv_stride) / SAMPLING_RATE_HZ
        self._shortest = receptive_field(config.conv_kernel, config.conv_stride)
        self._take_over(hf.encoder)

    def _take_over(self, encoder: Any) -> None:
        """Keeps the layers within each clip, and finds what works on the last one's output."""
        config = self.hf.config
        # Pre-norm models ("stable layer norm") have their last norm after the layers.
        pre_norm = getattr(config, "do_stable_layer_norm", False)
        self.on_top = [encoder.layer_norm] if pre_norm else []
        wavlm = config.model_type == "wavlm"
        (wavlm_attention if wavlm else ragged_attention).attend_by_clip(encoder)

    def settle(self, trained: bool) -> None:
        """What stands in for masked frames is trained if frames are masked at all."""
        settle_mask(self.hf, self.spec_augment, trained)

    def positions(self, length: int) -> int:
        """Frames of a clip of so many samples; at least one."""
        config = self.hf.config
        return positions(max(length, self._shortest), config.conv_kernel, config.conv_stride)

    def hidden_states(self, waveform: Ragged, chosen: Sequence[int], recomputes: bool) -> Ragged:
        """`[n layers d]`, one row a frame (20 ms for the usual strides).

        Layer 0 is the projected front end. A clip shorter than one frame is filled with zeros to
        one; so is an empty one.
        """
        frames = self._project(self._front_end(waveform, recomputes))
        if self.spec_augment and self.hf.training:
            frames = with_masks(frames, self.hf)
        return frames.with_values(torch.stack(self._contextualise(frames, chosen), dim=1))

    def save_preprocessor(self, folder: Path) -> None:
        """Writes preprocessor_config.json."""
        from transformers import Wav2Vec2FeatureExtractor

        Wav2Vec2FeatureExtractor(do_normalize=self.normalise).save_pretrained(folder)

    def _front_end(self, waveform: Ragged, recomputes: bool) -> Ragged:
        clips = [self._prepare(clip) for clip in waveform.split()]
        most = _STRIP_S * SAMPLING_RATE_HZ if waveform.values.is_cuda else 0
        run = partial(recomputed, features_of) if recomputes else features_of
        features: list[Tensor] = []
        for strip in strips(clips, most):
            features += run(self.hf.feature_extractor, self.hf.config, strip, most)
        return Ragged.pack(features)

    def _prepare(self, clip: Float[Tensor, " t"]) -> Float[Tensor, " u"]:
        if self.normalise and len(clip):
            clip = zero_mean_unit_variance(clip)
        clip = clip.to(next(self.hf.feature_extractor.parameters()).dtype)
        return nn.functional.pad(clip, (0, max(0, self._shortest - len(clip))))

    def _project(self, features: Ragged) -> Ragged:
        projected = self.hf.feature_projection(features.values)
        return features.with_values(projected[0] if isinstance(projected, tuple) else projected)

    def _contextualise(self, frames: Ragged, chosen: Sequence[int]) -> list[Float[Tensor, "n d"]]:
        """The chosen ones of the input of every transformer layer and the last hidden state."""
        encoder = self.hf.encoder
        states: dict[int, Tensor] = {}
        below = set(chosen) - {len(encoder.layers)}
        with (
            collected_inputs([*encoder.layers, *self.on_top], below, states),
            gaps_between(encoder.pos_conv_embed, frames),
        ):
            encoded = encoder(frames.values[None], attention_mask=None, frames=frames)
        last = encoded.last_hidden_state
        return [states.get(number, last)[0] for number in chosen]


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame of stacked convolutions sees; fewer give no frame."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples
