"""wav2vec 2.0, HuBERT, WavLM and data2vec-audio: ragged in, ragged out, exact in any batch.

Three things in these models see padding when a batch is padded, and each is kept from it:

- the convolutional front end (group norm over time in the first layer, lengths): clip by clip;
- positional convolutions in several steps (data2vec) or behind a batch norm (some HuBERT): the
  padded positions are set to zero again before each convolution;
- attention: masked.

The feature projection is position-wise and runs on ragged values. Frame counts are those that the
front end gives the clip alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AutoFeatureExtractor, Wav2Vec2FeatureExtractor

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Needs, Trainable
from sermm.encoders.hf_base import HFEncoder, Layers
from sermm.encoders.hf_loading import Source, load_config, load_model, random_model, staged
from sermm.encoders.spec_augment import masked_positions
from sermm.encoders.wavlm_attention import fuse_attention

FAMILIES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
SAMPLING_RATE_HZ = 16_000
_KEY = "encoder.speech"
_PREPROCESSOR = ("preprocessor_config.json",)


class SpeechTransformer(HFEncoder):
    """A Hugging Face speech model made exact over ragged batches.

    Args:
        hf: a model of one of the `FAMILIES`.
        trainable: "all", "none", or how many of the top transformer layers.
        layers: "last", "all" (projected front end and every layer) or "transformer".
        freeze_front_end: the convolutional front end is never trained.
        normalise: every clip to zero mean and unit variance first.
        spec_augment: mask spans of frames in training, with the model's own probabilities.
    """

    needs: Needs = "waveform"

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
        if hf.config.model_type == "wavlm":
            fuse_attention(encoder)
        self.normalise = normalise
        self.spec_augment = spec_augment
        self.freeze_front_end = freeze_front_end
        if freeze_front_end:
            self.hf.feature_extractor.requires_grad_(False)
        self.hf.masked_spec_embed.requires_grad_(spec_augment and trainable == "all")
        self._shortest = receptive_field(hf.config.conv_kernel, hf.config.conv_stride)

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
            return self._select(frames, self._contextualise(frames))

    def save_assets(self, folder: Path) -> None:
        """Writes config.json and preprocessor_config.json."""
        with staged(folder) as temporary:
            self.hf.config.save_pretrained(temporary)
            Wav2Vec2FeatureExtractor(do_normalize=self.normalise).save_pretrained(temporary)

    def _front_end(self, waveform: Ragged) -> Ragged:
        clips = (self._prepare(clip) for clip in waveform.split())
        return Ragged.pack([self.hf.feature_extractor(clip[None])[0].T for clip in clips])

    def _prepare(self, clip: Float[Tensor, " t"]) -> Float[Tensor, " u"]:
        if self.normalise and len(clip):
            clip = zero_mean_unit_variance(clip)
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

    def _contextualise(self, frames: Ragged) -> list[Tensor]:
        """The input of every transformer layer and the last hidden state, `[b t d]` each."""
        padded, mask = frames.padded()
        full = len(set(frames.sizes)) == 1
        states: list[Tensor] = []
        with ExitStack() as stack:
            if self.layers != "last":
                stack.enter_context(_collected_inputs(self.hf.encoder.layers, states))
            if not full:
                stack.enter_context(_padding_kept_zero(self.hf.encoder.pos_conv_embed, mask))
            encoded = self.hf.encoder(padded, attention_mask=None if full else mask)
        return [*states, encoded.last_hidden_state]


class HFSpeechEncoder(SpeechTransformer):
    """A pre-trained speech encoder by hub id or local folder.

    Adapters that shorten time after the transformer are left out.

    Args:
        id: hub id or folder.
        revision: commit, tag or branch on the hub.
        trainable: "all", "none", or how many of the top transformer layers.
        layers: "last", "all" (projected front end and every layer) or "transformer".
        freeze_front_end: the convolutional front end is never trained.
        normalise: every clip to zero mean and unit variance; None: as the encoder was trained.
        spec_augment: mask spans of frames in training.
        assets: a folder of `save_assets`: nothing is read from `id` but the weights of an
            encoder of which nothing is trained; other weights are random until loaded.

    Raises:
        InputError: the encoder cannot be had, is of another kind, or expects another rate.
    """

    pretrained = True

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
    ) -> None:
        source = Source(id, _KEY, revision)
        described = source if assets is None else Source.of_assets(assets, _KEY)
        config = load_config(described, FAMILIES)
        # A skipped layer would leave a gap in the layer mix, and its draw outlive the utterance.
        config.layerdrop = 0.0
        config.add_adapter = False
        if normalise is None:
            normalise = _preprocessor_normalises(described)
        reloadable = trainable == "none"
        given = reloadable or assets is None
        hf = load_model(source, config) if given else random_model(config)
        super().__init__(hf, trainable, layers, freeze_front_end, normalise, spec_augment)
        self.reloadable = reloadable


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame of stacked convolutions sees; fewer give no frame."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def zero_mean_unit_variance(clip: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """(x - mean) / sqrt(var + 1e-7), population variance, over all samples."""
    return (clip - clip.mean()) * torch.rsqrt(clip.var(correction=0) + 1e-7)


def _preprocessor_normalises(source: Source) -> bool:
    try:
        source.require(_PREPROCESSOR)
        extractor = source.fetch(AutoFeatureExtractor.from_pretrained)
    except InputError as error:
        raise InputError(
            f"{error}; or say whether clips are normalised: {_KEY}.normalise=true|false"
        ) from error
    if extractor.sampling_rate != SAMPLING_RATE_HZ:
        raise InputError(
            f"{source} expects {extractor.sampling_rate} Hz, but waveforms have "
            f"{SAMPLING_RATE_HZ} Hz; choose another encoder"
        )
    return bool(extractor.do_normalize)


@contextmanager
def _collected_inputs(layers: nn.ModuleList, states: list[Tensor]) -> Iterator[None]:
    """Appends the input of every layer to `states`."""
    handles = [
        layer.register_forward_pre_hook(lambda _, args: states.append(args[0])) for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _padding_kept_zero(positional: nn.Module, mask: Bool[Tensor, "b t"]) -> Iterator[None]:
    """Sets padding to zero again after each step that makes it non-zero, as at a clip's end."""
    real = mask[:, None, :]

    def clear(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output * real

    steps = [*getattr(positional, "layers", ()), getattr(positional, "batch_norm", None)]
    handles = [step.register_forward_hook(clear) for step in steps if step is not None]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
