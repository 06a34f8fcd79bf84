"""What the kinds of Hugging Face speech models differ in, and what all of them must say.

A family runs one kind of model over ragged batches: it makes the frames, keeps what is not
position-wise within each clip, and hands out the layers that were asked for.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.loading import Source

# Seconds of silence after the clip: none, as many as fill the window, or a number of them.
Context = Literal["own", "30s"] | int | float | None
SAMPLING_RATE_HZ = 16_000
_KEY = "encoder.speech"
PREPROCESSOR = ("preprocessor_config.json", "processor_config.json")


class SpeechFamily(ABC):
    """One kind of speech model.

    Args:
        hf: the model.
        normalise: every clip to zero mean and unit variance first.
        spec_augment: mask spans of frames while the model is in training mode.
        context: how much silence follows a clip, where `has_context`; else None.

    Raises:
        InputError: a context for a model that has none.

    Attributes:
        model_types: what config.json calls the kinds that it knows.
        has_context: clips can be heard with silence after them (`encoder.speech.context`).
        blocks: the transformer layers, lowest first.
        on_top: what works on the last layer's output.
        front: what comes before the layers; `freeze_front_end` leaves it as it is.
        still: what is never in training mode, though it may be trained.
        frame_s: seconds from one position to the next.
    """

    model_types: ClassVar[tuple[str, ...]]
    has_context: ClassVar[bool] = False
    blocks: Sequence[nn.Module]
    on_top: Sequence[nn.Module]
    front: Sequence[nn.Module]
    still: Sequence[nn.Module] = ()
    frame_s: float

    def __init__(
        self, hf: Any, normalise: bool, spec_augment: bool, context: Context = None
    ) -> None:
        if context is not None and not self.has_context:
            raise InputError(
                f"{_KEY}.context={context}: a {hf.config.model_type} hears a clip as it "
                "is; set context=null (Whisper has a choice)"
            )
        self.hf = hf
        self.normalise = normalise
        self.spec_augment = spec_augment

    @abstractmethod
    def positions(self, length: int) -> int:
        """Frames of a clip of so many samples; at least one."""

    @abstractmethod
    def hidden_states(self, waveform: Ragged, chosen: Sequence[int], recomputes: bool) -> Ragged:
        """`[n layers d]`: the chosen ones of every layer's input and the last hidden state.

        Args:
            waveform: samples `[n]` at 16 kHz.
            chosen: numbers, 0 = the input of the first layer, in the order they come out in.
            recomputes: the front end runs again in the backward pass.
        """

    @abstractmethod
    def save_preprocessor(self, folder: Path) -> None:
        """Writes preprocessor_config.json."""

    @abstractmethod
    def settle(self, trained: bool) -> None:
        """Sets what of the model is never trained, once the rest is chosen.

        Args:
            trained: the model is trained whole.

        Raises:
            InputError: what was asked for is nothing that it can do.
        """

    @classmethod
    def normalises(cls, source: Source, config: Any, asked: bool | None) -> bool:  # noqa: ARG003
        """Whether clips are normalised: as asked, or else as the checkpoint was trained.

        Raises:
            InputError: nothing was asked and the checkpoint does not say, or expects another rate.
        """
        if asked is not None:
            return asked
        way_out = f"; or say whether clips are normalised: {_KEY}.normalise=true|false"
        return bool(feature_extractor(source, way_out).do_normalize)


def feature_extractor(source: Source, way_out: str = "") -> Any:
    """What made the input of a checkpoint out of waveforms.

    Raises:
        InputError: there is none (the message ends in `way_out`), or it expects another sampling
            rate.
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
    return extractor


def zero_mean_unit_variance(clip: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """(x - mean) / sqrt(var + 1e-7), population variance, over all samples."""
    return (clip - clip.mean()) * torch.rsqrt(clip.var(correction=0) + 1e-7)
