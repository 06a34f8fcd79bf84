"""The encoder of Whisper (Radford et al. 2023), over ragged batches.

    log-mel spectrogram, 10 ms -> two convolutions (the second halves) + positions -> layers -> norm

The decoder is left out. Whisper knows nothing but clips filled to 30 s with silence, which is most
of the work where clips are short; how much of it a clip gets is `context`. Which is best was
measured with Whisper base (trained) on real speech: UA in % of logistic regression on the mean of a
layer's states, four classes, protocol groups5 (three groups of talkers train); validation parts,
and test parts in brackets. Layer 3 is the best one, `all` are the seven in a row.

| context | EmoDB, layer 3 | EmoDB, all | RAVDESS, layer 3 | RAVDESS, all |
| --- | --- | --- | --- | --- |
| `own` | 94.1 (91.5) | 93.3 (90.5) | 82.9 (81.2) | 81.9 (79.9) |
| 1 second | 94.8 (91.3) | 93.4 (90.5) | 82.7 (82.0) | 82.9 (80.5) |
| `30s` | 95.0 (92.9) | 94.3 (92.2) | 82.3 (83.1) | 80.7 (81.4) |

By validation 1 second has the highest mean over both corpora, at nearly the cost of `own`
(`sermm bench features`): it is the default.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.base import recomputed
from sermm.encoders.hf.families.log_mel import HOP, in_strips, log_mel
from sermm.encoders.hf.families.ragged_attention import attend_by_clip
from sermm.encoders.hf.families.spec_augment import masked_positions
from sermm.encoders.hf.families.speech_family import (
    SAMPLING_RATE_HZ,
    Context,
    SpeechFamily,
    feature_extractor,
    zero_mean_unit_variance,
)
from sermm.encoders.hf.layer_drop import run_through
from sermm.encoders.hf.loading import Source

_KEY = "encoder.speech"
_DEFAULT: Context = 1.0
# Samples of one position.
_STEP = 2 * HOP


class WhisperFamily(SpeechFamily):
    """Whisper, tiny to large-v3, with 80 or 128 mel bands.

    A clip longer than the window is cut into as many equal parts as it takes, each heard by itself.

    Args:
        hf: a `WhisperEncoder`.
        normalise: every clip to zero mean and unit variance first.
        spec_augment: mask spans of the spectrogram, with mask_time_prob of config.json.
        context: `own` (the clip alone), `30s` (filled up, as trained), or seconds of silence after
            the clip; None: 1 second.

    Raises:
        InputError: `context` is none of these.
    """

    model_types = ("whisper",)
    has_context = True

    def __init__(
        self, hf: Any, normalise: bool, spec_augment: bool, context: Context = None
    ) -> None:
        super().__init__(hf, normalise, spec_augment, context)
        self.window = hf.config.max_source_positions * _STEP
        self._silence = _silence(_DEFAULT if context is None else context, self.window)
        self.blocks = list(hf.layers)
        self.on_top = [hf.layer_norm]
        self.front = [hf.conv1, hf.conv2]
        self.frame_s = _STEP / SAMPLING_RATE_HZ
        # No buffer of the model: half precision of the weights is not for these.
        self._filters = _filters(hf.config.num_mel_bins)
        attend_by_clip(hf)

    def settle(self, trained: bool) -> None:  # noqa: ARG002
        """The positions are sinusoids, and stay."""
        self.hf.embed_positions.requires_grad_(False)

    def positions(self, length: int) -> int:
        """Frames of 20 ms of a clip of so many samples, the last one begun; at least one."""
        return max(1, -(-length // _STEP))

    def hidden_states(self, waveform: Ragged, chosen: Sequence[int], recomputes: bool) -> Ragged:
        """`[n layers d]`, one row for 20 ms of each clip; what silence after it gave is left out.

        Layer 0 is the sum of convolutions and positions, the highest one normed.
        """
        parts = [part for clip in waveform.split() for part in self._windows(clip)]
        run = partial(recomputed, self._embed) if recomputes else self._embed
        frames = Ragged.pack(run(parts))
        states = torch.stack(self._contextualise(frames, chosen), dim=1)
        own = [
            state[: self.positions(len(part))]
            for state, part in zip(frames.with_values(states).split(), parts, strict=True)
        ]
        sizes = [self.positions(length) for length in waveform.sizes]
        return Ragged(torch.cat(own), torch.tensor(sizes))

    def save_preprocessor(self, folder: Path) -> None:
        """Writes preprocessor_config.json."""
        from transformers import WhisperFeatureExtractor

        WhisperFeatureExtractor(
            feature_size=self.hf.config.num_mel_bins, do_normalize=self.normalise
        ).save_pretrained(folder)

    @classmethod
    def normalises(cls, source: Source, config: Any, asked: bool | None) -> bool:
        """Whether clips are normalised; the spectrogram must be that of config.json.

        Raises:
            InputError: the checkpoint has no feature extractor, or one with other mel bands.
        """
        extractor = feature_extractor(source)
        bands = getattr(extractor, "feature_size", None)
        if bands != config.num_mel_bins:
            raise InputError(
                f"{source}: preprocessor_config.json makes {bands} mel bands, config.json has "
                f"num_mel_bins {config.num_mel_bins}; the files do not belong together"
            )
        return bool(getattr(extractor, "do_normalize", False)) if asked is None else asked

    def _windows(self, clip: Float[Tensor, " n"]) -> Sequence[Float[Tensor, " _"]]:
        if len(clip) <= self.window:
            return [clip]
        parts = -(-len(clip) // self.window)
        return torch.split(clip, self.positions(-(-len(clip) // parts)) * _STEP)

    def _embed(self, clips: Sequence[Float[Tensor, " _"]]) -> list[Float[Tensor, "_ d"]]:
        """What the first layer gets: clips and silence through the convolutions, plus positions."""
        spectra = [self._spectrum(clip) for clip in clips]
        if self.spec_augment and self.hf.training:
            spectra = _masked(spectra, self.hf.config)
        states = self._convolve(spectra)
        positions = self.hf.embed_positions.weight
        drop = partial(F.dropout, p=self.hf.config.dropout, training=self.hf.training)
        return [drop(state + positions[: len(state)]) for state in states]

    def _spectrum(self, clip: Float[Tensor, " n"]) -> Float[Tensor, "mels m"]:
        if self.normalise and len(clip):
            clip = zero_mean_unit_variance(clip)
        heard = min(self.window, len(clip) + self._silence)
        frames = 2 * self.positions(heard)
        return log_mel(clip, frames, self.window, self._filters.to(clip.device))

    def _convolve(self, spectra: Sequence[Float[Tensor, "mels _"]]) -> list[Float[Tensor, "_ d"]]:
        """Both convolutions over all clips at once: two frames of zeros between them."""
        strip, starts = in_strips(spectra, gap=2)
        real = strip.new_zeros(strip.shape[-1])
        for start, one in zip(starts, spectra, strict=True):
            real[start : start + one.shape[1]] = 1
        strip = strip.to(self.hf.conv1.weight.dtype)
        states = F.gelu(self.hf.conv1(strip)) * real.to(strip.dtype)
        states = F.gelu(self.hf.conv2(states))[0].T
        return [
            states[start // 2 : (start + one.shape[1]) // 2]
            for start, one in zip(starts, spectra, strict=True)
        ]

    def _contextualise(self, frames: Ragged, chosen: Sequence[int]) -> list[Float[Tensor, "n d"]]:
        drops = self.hf.config.encoder_layerdrop if self.hf.training else 0.0
        options = {"attention_mask": None, "frames": frames}
        found = run_through(self.blocks, frames.values[None], set(chosen), drops, **options)
        found[len(self.blocks)] = self.hf.layer_norm(found[len(self.blocks)])
        return [found[number][0] for number in chosen]


def _silence(context: Context, window: int) -> int:
    """Samples of silence after a clip.

    Raises:
        InputError: the context is nothing known, or no number of seconds.
    """
    if context == "own":
        return 0
    if context == "30s":
        return window
    if isinstance(context, bool | str) or context is None or not context >= 0:
        raise InputError(
            f"{_KEY}.context={context}: expected own (the clip alone), 30s (filled with silence to "
            "30 s, as Whisper was trained), or seconds of silence after the clip, such as 1"
        )
    return round(min(context * SAMPLING_RATE_HZ, window))


def _filters(bands: int) -> Float[Tensor, "bins mels"]:
    from transformers import WhisperFeatureExtractor

    return torch.from_numpy(WhisperFeatureExtractor(feature_size=bands).mel_filters).float()


def _masked(
    spectra: Sequence[Float[Tensor, "mels _"]], config: Any
) -> list[Float[Tensor, "mels _"]]:
    """Spans of frames set to zero, as transformers does for Whisper."""
    flat = Ragged.pack([one.T for one in spectra])
    masked = masked_positions(
        flat, config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks
    )
    values = flat.values.masked_fill(masked[:, None], 0.0)
    return [one.T for one in flat.with_values(values).split()]
