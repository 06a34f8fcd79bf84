"""wav2vec 2.0, HuBERT, WavLM and data2vec-audio: ragged in and out, in any batch alike to rounding.

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
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Needs, Trainable
from sermm.encoders.hf import ragged_attention, wavlm_attention
from sermm.encoders.hf.base import HFEncoder, Layers, defaults_of, recomputed
from sermm.encoders.hf.front_end import features_of, positions, strips
from sermm.encoders.hf.layer_drop import LayerDrop, collected_inputs, probability_of
from sermm.encoders.hf.loading import Source, initial_model, load_config, staged
from sermm.encoders.hf.positional_gaps import gaps_between
from sermm.encoders.hf.spec_augment import masked_positions

FAMILIES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
SAMPLING_RATE_HZ = 16_000
_KEY = "encoder.speech"
# Raise it when the same waveform and weights give other hidden states: stored ones no longer count.
_CODE = 1
PREPROCESSOR = ("preprocessor_config.json", "processor_config.json")
# Clips run through the front end at once on a GPU, for which one clip is little work; on a CPU one
# by one is faster, as the memory of the first layers is used again while it is in the cache.
_STRIP_S = 60


class SpeechTransformer(HFEncoder):
    """A Hugging Face speech model made exact over ragged batches.

    Args:
        hf: a model of one of the `FAMILIES`.
        trainable: "all", "none", or how many of the top transformer layers.
        layers: "last", "all" (projected front end and every layer), "transformer", or numbers:
            0 = the projected front end, 1 the first layer.
        freeze_front_end: the convolutional front end is never trained.
        normalise: every clip to zero mean and unit variance first.
        spec_augment: mask spans of frames in training, with the model's own probabilities.
    """

    needs: frozenset[Needs] = frozenset({"waveform"})

    def __init__(
        self,
        hf: Any,
        trainable: Trainable,
        layers: Layers,
        freeze_front_end: bool,
        normalise: bool,
        spec_augment: bool,
    ) -> None:
        encoder: Any = hf.encoder
        # Pre-norm models ("stable layer norm") have their last norm after the layers.
        pre_norm = getattr(hf.config, "do_stable_layer_norm", False)
        on_top = [encoder.layer_norm] if pre_norm else []
        super().__init__(hf, list(encoder.layers), on_top, trainable, layers, _KEY)
        wavlm = hf.config.model_type == "wavlm"
        (wavlm_attention if wavlm else ragged_attention).attend_by_clip(encoder)
        self.normalise = normalise
        self.spec_augment = spec_augment
        self.freeze_front_end = freeze_front_end
        if freeze_front_end:
            self.hf.feature_extractor.requires_grad_(False)
        _train_mask(hf, spec_augment, trainable == "all")
        self._shortest = receptive_field(hf.config.conv_kernel, hf.config.conv_stride)
        self.frame_s = math.prod(hf.config.conv_stride) / SAMPLING_RATE_HZ

    def train(self, mode: bool = True) -> "SpeechTransformer":
        """Training mode for the trained parts only."""
        super().train(mode)
        if self.freeze_front_end:
            self.hf.feature_extractor.eval()
        return self

    def forward(self, batch: Batch) -> Ragged:
        """Hidden states `[n layers d]`, one row a frame (20 ms for the usual strides).

        A clip shorter than one frame is filled with zeros to one; so is an empty one.
        """
        if batch.waveform is None:
            raise InputError(f"{_KEY} needs waveforms, and the batch of {batch.ids[0]} has none")
        with self._gradient():
            frames = self._project(self._front_end(batch.waveform))
            return frames.with_values(torch.stack(self._contextualise(frames), dim=1))

    def positions(self, length: int) -> int:
        """Frames of a clip of so many samples; at least one."""
        config = self.hf.config
        return positions(max(length, self._shortest), config.conv_kernel, config.conv_stride)

    def save_assets(self, folder: Path) -> None:
        """Writes config.json and preprocessor_config.json."""
        from transformers import Wav2Vec2FeatureExtractor

        with staged(folder) as temporary:
            self.hf.config.save_pretrained(temporary)
            Wav2Vec2FeatureExtractor(do_normalize=self.normalise).save_pretrained(temporary)

    def _front_end(self, waveform: Ragged) -> Ragged:
        clips = [self._prepare(clip) for clip in waveform.split()]
        most = _STRIP_S * SAMPLING_RATE_HZ if waveform.values.is_cuda else 0
        run = partial(recomputed, features_of) if self._recomputes else features_of
        features: list[Tensor] = []
        for strip in strips(clips, most):
            features += run(self.hf.feature_extractor, self.hf.config, strip, most)
        return Ragged.pack(features)

    def _prepare(self, clip: Float[Tensor, " t"]) -> Float[Tensor, " u"]:
        if self.normalise and len(clip):
            clip = zero_mean_unit_variance(clip)
        clip = clip.to(self.hf.feature_projection.projection.weight.dtype)
        return nn.functional.pad(clip, (0, max(0, self._shortest - len(clip))))

    def _project(self, features: Ragged) -> Ragged:
        projected = self.hf.feature_projection(features.values)
        values = projected[0] if isinstance(projected, tuple) else projected
        frames = features.with_values(values)
        if not (self.spec_augment and self.hf.training):
            return frames
        config = self.hf.config
        masked = masked_positions(
            frames, config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks
        )
        fill = self.hf.masked_spec_embed.to(values.dtype)
        return frames.with_values(torch.where(masked[:, None], fill, values))

    def _contextualise(self, frames: Ragged) -> list[Float[Tensor, "n d"]]:
        """The chosen ones of the input of every transformer layer and the last hidden state."""
        encoder = self.hf.encoder
        states: dict[int, Tensor] = {}
        below = set(self._chosen) - {len(encoder.layers)}
        with (
            collected_inputs([*encoder.layers, *self._on_top], below, states),
            gaps_between(encoder.pos_conv_embed, frames),
        ):
            encoded = encoder(frames.values[None], attention_mask=None, frames=frames)
        last = encoded.last_hidden_state
        return [states.get(number, last)[0] for number in self._chosen]


class HFSpeechEncoder(SpeechTransformer):
    """A pre-trained speech encoder by hub id or local folder.

    Adapters that shorten time after the transformer are left out.

    Args:
        id: hub id or folder.
        revision: commit, tag or branch on the hub.
        trainable: "all", "none", or how many of the top transformer layers.
        layers: "last", "all" (projected front end and every layer), "transformer", or numbers:
            0 = the projected front end, 1 the first layer.
        freeze_front_end: the convolutional front end is never trained.
        normalise: every clip to zero mean and unit variance; None: as the encoder was trained.
        spec_augment: mask spans of frames in training, with the checkpoint's own probabilities.
        layerdrop: how likely a layer is left out of a training batch; "checkpoint": as its
            config.json says; None: never. This and `spec_augment` are of encoders that are trained
            whole: where some or all layers stay as they are, neither does anything.
        assets: a folder of `save_assets`: nothing is read from `id` but the weights of an
            encoder of which nothing is trained; other weights are random until loaded.

    Raises:
        InputError: the encoder cannot be had, is of another kind, or expects another rate, or
            `layerdrop` is none of these.
    """

    pretrained = True
    storable = True

    def __init__(
        self,
        id: str,  # noqa: A002 (the hub's word)
        revision: str | None = None,
        trainable: Trainable = "all",
        layers: Layers = "last",
        freeze_front_end: bool = True,
        normalise: bool | None = None,
        spec_augment: bool = False,
        assets: str | Path | None = None,
        layerdrop: LayerDrop = None,
    ) -> None:
        source = Source(id, _KEY, revision)
        described = source if assets is None else Source.of_assets(assets, _KEY)
        config = load_config(described, FAMILIES)
        config.layerdrop = probability_of(layerdrop, config, _KEY)
        config.add_adapter = False
        if normalise is None:
            way_out = f"; or say whether clips are normalised: {_KEY}.normalise=true|false"
            normalise = preprocessor_normalises(described, way_out)
        hf = initial_model(source, config, trainable, assets)
        super().__init__(hf, trainable, layers, freeze_front_end, normalise, spec_augment)
        self.reloadable = trainable == "none"

    @classmethod
    def described(cls, **config: Any) -> dict[str, Any]:
        """Weights, layers and preprocessing; read without loading the weights."""
        settings = {**defaults_of(HFSpeechEncoder), **config}
        return {
            "encoder": "speech",
            "weights": Source(settings["id"], _KEY, settings["revision"]).fingerprint(),
            "layers": settings["layers"],
            "normalise": settings["normalise"],
            "code": _CODE,
        }


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame of stacked convolutions sees; fewer give no frame."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def zero_mean_unit_variance(clip: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """(x - mean) / sqrt(var + 1e-7), population variance, over all samples."""
    return (clip - clip.mean()) * torch.rsqrt(clip.var(correction=0) + 1e-7)


def _train_mask(hf: Any, spec_augment: bool, trained: bool) -> None:
    """What stands in for masked frames is trained if frames are masked at all."""
    if hasattr(hf, "masked_spec_embed"):
        hf.masked_spec_embed.requires_grad_(spec_augment and trained)
    elif spec_augment:
        raise InputError(
            f"{_KEY}.spec_augment=true: this encoder masks nothing (mask_time_prob is 0 in its "
            "config.json), so it has no mask embedding; set spec_augment=false"
        )


def preprocessor_normalises(source: Source, way_out: str = "") -> bool:
    """Whether a checkpoint's clips have zero mean and unit variance, as its preprocessor says.

    Raises:
        InputError: there is no preprocessor (the message ends in `way_out`), or it expects another
            sampling rate.
    """
    from transformers import AutoFeatureExtractor

    try:
        source.require(PREPROCESSOR)
        extractor = source.fetch(AutoFeatureExtractor.from_pretrained)
    except InputError as error:
        raise InputError(f"{error}{way_out}") from error
    if extractor.sampling_rate != SAMPLING_RATE_HZ:
        raise InputError(
            f"{source} expects {extractor.sampling_rate} Hz, but waveforms have "
            f"{SAMPLING_RATE_HZ} Hz; choose another one"
        )
    return bool(extractor.do_normalize)
