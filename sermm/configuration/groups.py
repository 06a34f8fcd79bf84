"""The groups of the configuration as records; what each key means stands in its YAML in `conf/`."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field

from sermm.configuration.component import ComponentField
from sermm.configuration.schema import (
    Count,
    Items,
    Natural,
    Positive,
    Range,
    Record,
    Share,
    is_number,
)

HUMAN: Final = "human"
# What of the validation part may choose the epoch: the protocol's headline, the loss, or a score.
Monitor = Literal["headline", "loss", "ua", "wa", "f1_macro"]
# What `sermm.encoders.precision` knows, and auto: by the device.
PrecisionWord = Literal["auto", "32-true", "bf16-mixed", "bf16-true"]
_SEMITONES: Final = 12.0


class TrainerConfig(Record):
    """How long and on what (`conf/trainer`)."""

    max_epochs: Count
    monitor: Monitor
    patience: Count | None
    batch_size: Count | None
    batch_seconds: Positive | None
    accumulate: Count
    clip_norm: Positive | None
    max_seconds: Positive | None
    accelerator: Literal["auto", "cpu", "gpu", "cuda"]
    devices: Count
    precision: PrecisionWord
    num_workers: Natural
    keep_audio_mb: Natural
    # These are younger than some runs whose configuration is read.
    batching: Literal["similar", "random"] = "similar"
    test_epoch: Literal["best", "last"] = "best"

    @property
    def most_s(self) -> float:
        """Where utterances are cut, in seconds; infinite where none is."""
        return math.inf if self.max_seconds is None else self.max_seconds


Over = Literal["none", "global", "utterance", "talker"]


class NormaliseConfig(Record):
    """What the statistics of each modality's states are taken over; not said: `none`."""

    speech: Over = "none"
    text: Over = "none"

    @property
    def plain(self) -> str | dict[str, str]:
        """As it is written: one word where that says it."""
        return self.speech if self.speech == self.text else self.model_dump()


def _by_modality(given: Any) -> Any:
    """One word is of both modalities."""
    if isinstance(given, Mapping | NormaliseConfig):
        return given
    if given not in get_args(Over):
        raise ValueError(
            "expected none, global, utterance or talker, or one of them for each modality, such as "
            "{speech: global, text: none}"
        )
    return {"speech": given, "text": given}


class FeaturesConfig(Record):
    """How hidden states are come by (`conf/features`); None: not a matter of this mode."""

    mode: Literal["cached", "frozen", "finetune"]
    trainable: Literal["none", "all"] | Natural
    normalise: Annotated[NormaliseConfig, BeforeValidator(_by_modality)]
    checkpointing: bool
    dtype: Literal["float16", "bfloat16", "float32"] | None = None
    precision: PrecisionWord | None = None
    batch_seconds: Positive | None = None


class LearningConfig(Record):
    """How a system learns (`conf/model/_base.yaml`, `learning`).

    Attributes:
        optimizer: makes an optimiser from parameter groups, `lr` and `weight_decay`.
        lr: of all that starts from random weights.
        encoder_lr: of the trained parameters of pre-trained encoders.
        embedding_lr: of residuals of word embeddings (`encoder.text.gdes`); None: as the encoder
            that they are in.
        adapter_lr: of adapters (`encoder.speech.adapter`), at every depth.
        layer_decay: layer l of the L of a pre-trained encoder learns with encoder_lr *
            layer_decay^(L - l); what lies before the layers is layer 0.
        weight_decay: of matrices; biases, norms and scalars have none.
        schedule: of the rate over all steps.
        warmup: share of the steps in which the rate rises linearly from 0.
        class_weights: weigh classes by inverse frequency in training.
        label_smoothing: share of the target that goes to all classes alike.
    """

    optimizer: ComponentField
    lr: Positive
    encoder_lr: Positive
    embedding_lr: Positive | None
    layer_decay: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["constant", "linear", "cosine"]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    class_weights: bool
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    adapter_lr: Positive = 5e-4


class ModelConfig(Record):
    """A system (`conf/model`): what makes it, how it learns, and what papers print of it.

    A model's YAML may have further keys, which its own interpolations read.

    Attributes:
        variant: its name in tables of papers, streams included.
        streams: those that were chosen, where there is a choice.
        level: of the units that its only stream is read at, where that is a key of its own.
        papers: the tables that have a cell of it (`conf/paper`).
        published: figures that papers print of it.
        curves: figures by epoch that papers print of it.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    variant: str
    system: ComponentField
    learning: LearningConfig
    papers: Items[dict[str, Any]]
    published: Items[dict[str, Any]]
    curves: Items[dict[str, Any]]
    notes: Items[str]
    streams: Items[str] | None = None
    level: str | None = None


class TextConfig(Record):
    """What text encoders read.

    Attributes:
        source: `human`, or `asr:<name>` of a recogniser that has run.
        allow_empty: whether a system may read texts of a corpus that has none.
    """

    source: str
    allow_empty: bool = False


class Varied(Record):
    """One way in which training batches may be varied; `p`: how likely it is."""

    p: Share


def within(least: float, most: float) -> BeforeValidator:
    """Two numbers in order, neither below `least` nor above `most`."""

    def checked(value: Any) -> Any:
        numbers = isinstance(value, list | tuple) and len(value) == 2
        if not (numbers and all(is_number(one) for one in value)) or not (
            least <= value[0] <= value[1] <= most
        ):
            raise ValueError(f"expected [lowest, highest] within {least:g} to {most:g}")
        return tuple(value)

    return BeforeValidator(checked)


class SpeedConfig(Varied):
    """`factor`: 1.1 = a tenth faster."""

    factor: Annotated[Range, within(0.5, 2.0)]


class StretchConfig(Varied):
    """`factor`: 1.1 = a tenth longer, at the same pitch."""

    factor: Annotated[Range, within(0.5, 2.0)]


class PitchConfig(Varied):
    """`semitones`: up is positive."""

    semitones: Annotated[Range, within(-_SEMITONES, _SEMITONES)]


class NoiseConfig(Varied):
    """`snr_db`: of the whole clip; `root`: a folder of recordings, None for white noise."""

    snr_db: Annotated[Range, within(-20.0, 100.0)]
    root: str | None


class GainConfig(Varied):
    """`db`: louder is positive."""

    db: Annotated[Range, within(-60.0, 60.0)]


class MaskConfig(Varied):
    """`share`: of the clip, the length of one of `times` silences."""

    share: Annotated[Range, within(0.0, 0.5)]
    times: Count


class SynonymsConfig(Varied):
    """`wordnet`: the folder of its files; None: $WNSEARCHDIR or Debian's."""

    wordnet: str | None


class AugmentConfig(Record):
    """What varies the audio and words of training batches (`conf/augment`); None: off."""

    speed: SpeedConfig | None
    pitch: PitchConfig | None
    noise: NoiseConfig | None
    gain: GainConfig | None
    mask: MaskConfig | None
    synonyms: SynonymsConfig | None
    # Configurations of older runs lack it.
    stretch: StretchConfig | None = None


class ContrastiveConfig(Record):
    """The loss between modalities (`sermm.engine.training.contrastive`)."""

    kind: Literal["infonce", "supervised"]
    weight: Positive
    temperature: Positive
    width: Count


class ModalityDropoutConfig(Record):
    """How likely an utterance loses a modality in training, and what stands in its place."""

    p: Share
    fill: Literal["zero", "learned"]


class RemediesConfig(Record):
    """Remedies against overfitting (`conf/remedies`); None: off.

    Source: Li 2025, section 5.1. Its other two, noise and synonyms, are in `AugmentConfig`.
    """

    contrastive: ContrastiveConfig | None
    modality_dropout: ModalityDropoutConfig | None


class CtcConfig(Record):
    """A model with a CTC head, by hub id or folder."""

    id: str
    revision: str | None


class PocketsphinxConfig(Record):
    """`dictionary`: words that CMUdict lacks."""

    dictionary: str | None


class AlignConfig(Record):
    """Where units of speech come from (`conf/align`), the first source that has any."""

    sources: Items[str]
    mfa_dir: str | None
    ctc: CtcConfig
    pocketsphinx: PocketsphinxConfig
    alaska: bool


class DistillationConfig(Record):
    """Loss: (1 - weight) x cross-entropy + weight x temperature^2 x KL to the teacher."""

    weight: Share
    temperature: Positive


class TeacherRecord(Record):
    """The finished run that a student learns from, as the student's configuration keeps it.

    Attributes:
        asked: the words that named it.
        folder: where it lay.
        ua: of its test part, a fraction.
    """

    asked: str
    folder: str
    key: str
    system: str
    seed: int
    split_digest: str
    model: str
    variant: str
    parameters: dict[str, int]
    ua: float


def _models(given: Any) -> Any:
    if not isinstance(given, list | tuple) or len(set(given)) < 2:
        raise ValueError("expected two or more models, such as [coattention, late_fusion]")
    return given


class CombineConfig(Record):
    """The average of logits that a sweep ends in: its name, and the models that take part."""

    name: str
    parts: Annotated[Items[str], BeforeValidator(_models)]
