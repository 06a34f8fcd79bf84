"""w2v-BERT 2.0 (Barrault et al. 2023), over ragged batches.

    80 log mel powers, 10 ms, normalised by band -> two and two a row of 160 -> projection -> layers

Its frames come from no convolution over the waveform; a clip has as many as two whole frames of
10 ms fit in. The layers are a Conformer's, whose convolution looks back only.
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
from sermm.encoders.hf.families.conformer import conformed, keep_within_clips
from sermm.encoders.hf.families.kaldi_fbank import (
    HOP,
    LENGTH,
    kaldi_fbank,
    mel_filters,
    povey_window,
)
from sermm.encoders.hf.families.spec_augment import settle_mask, with_masks
from sermm.encoders.hf.families.speech_family import (
    SAMPLING_RATE_HZ,
    Context,
    SpeechFamily,
    feature_extractor,
)
from sermm.encoders.hf.loading import Source

# Frames of 10 ms in a row.
_STRIDE = 2
_SHORTEST = LENGTH + HOP


class W2vBertFamily(SpeechFamily):
    """w2v-BERT 2.0; it has no front end that could be trained.

    Args:
        hf: the model.
        normalise: every mel band of a clip to zero mean and unit variance, as trained.
        spec_augment: mask spans of rows, with the model's own probabilities.
        context: None.

    Raises:
        InputError: a context.
    """

    model_types = ("wav2vec2-bert",)

    def __init__(
        self, hf: Any, normalise: bool, spec_augment: bool, context: Context = None
    ) -> None:
        super().__init__(hf, normalise, spec_augment, context)
        self.blocks = list(hf.encoder.layers)
        self.on_top, self.front = [], []
        self.frame_s = _STRIDE * HOP / SAMPLING_RATE_HZ
        # No buffers of the model: half precision of the weights is not for these.
        self._window = povey_window()
        self._filters = mel_filters(_bands(hf.config), SAMPLING_RATE_HZ)
        keep_within_clips(hf.encoder)

    def settle(self, trained: bool) -> None:
        """What stands in for masked rows is trained if rows are masked at all."""
        settle_mask(self.hf, self.spec_augment, trained)

    def positions(self, length: int) -> int:
        """Rows of 20 ms of a clip of so many samples; at least one."""
        return (1 + (max(length, _SHORTEST) - LENGTH) // HOP) // _STRIDE

    def hidden_states(self, waveform: Ragged, chosen: Sequence[int], recomputes: bool) -> Ragged:
        """`[n layers d]`, one row for 20 ms.

        Layer 0 is the projected spectrum. A clip shorter than one row is filled with zeros to one;
        so is an empty one.
        """
        rows = Ragged.pack([self._rows(clip) for clip in waveform.split()])
        run = partial(recomputed, self._project) if recomputes else self._project
        frames = rows.with_values(run(rows.values))
        if self.spec_augment and self.hf.training:
            frames = with_masks(frames, self.hf)
        found = conformed(self.hf, frames, set(chosen))
        return frames.with_values(torch.stack([found[number][0] for number in chosen], dim=1))

    def save_preprocessor(self, folder: Path) -> None:
        """Writes preprocessor_config.json."""
        from transformers import SeamlessM4TFeatureExtractor

        bands = _bands(self.hf.config)
        SeamlessM4TFeatureExtractor(
            feature_size=bands,
            num_mel_bins=bands,
            stride=_STRIDE,
            do_normalize=self.normalise,
        ).save_pretrained(folder)

    @classmethod
    def normalises(cls, source: Source, config: Any, asked: bool | None) -> bool:
        """Whether mel bands are normalised; the spectrum must be that of config.json.

        Raises:
            InputError: the checkpoint has no feature extractor, or one of other rows.
        """
        extractor = feature_extractor(source)
        made = (getattr(extractor, "num_mel_bins", None), getattr(extractor, "stride", None))
        if made != (_bands(config), _STRIDE):
            raise InputError(
                f"{source}: preprocessor_config.json makes {made[0]} mel bands by {made[1]} frames "
                f"of 10 ms, but feature_projection_input_dim {config.feature_projection_input_dim} "
                f"of config.json is {_bands(config)} by {_STRIDE}; the files do not belong together"
            )
        return bool(getattr(extractor, "do_normalize", True)) if asked is None else asked

    def _rows(self, clip: Float[Tensor, " n"]) -> Float[Tensor, "t c"]:
        clip = F.pad(clip, (0, max(0, _SHORTEST - len(clip))))
        bands = kaldi_fbank(clip, self._window.to(clip.device), self._filters.to(clip.device))
        if self.normalise:
            variance, mean = torch.var_mean(bands, dim=0)
            bands = (bands - mean) * torch.rsqrt(variance + 1e-7)
        whole = len(bands) - len(bands) % _STRIDE
        return bands[:whole].reshape(whole // _STRIDE, -1)

    def _project(self, rows: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
        projection = self.hf.feature_projection
        projected: Tensor = projection(rows.to(projection.projection.weight.dtype))[0]
        return projected


def _bands(config: Any) -> int:
    return int(config.feature_projection_input_dim) // _STRIDE
