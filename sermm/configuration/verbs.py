"""The whole configuration of each verb that Hydra composes, as a record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import BeforeValidator

from sermm.configuration.component import Component, ComponentField, NamedField
from sermm.configuration.composed import Composed
from sermm.configuration.groups import (
    HUMAN,
    AlignConfig,
    AugmentConfig,
    CombineConfig,
    DistillationConfig,
    FeaturesConfig,
    ModelConfig,
    RemediesConfig,
    TeacherRecord,
    TextConfig,
    TrainerConfig,
)
from sermm.configuration.protocol import ProtocolField, ProtocolValues
from sermm.configuration.schema import (
    Count,
    Format,
    Items,
    Natural,
    Place,
    Positive,
    Record,
    is_number,
)
from sermm.configuration.words import as_text, readable
from sermm.core.errors import InputError, near
from sermm.core.names import study_folder
from sermm.core.records import Level
from sermm.units.aligned import LEVELS

OneCorpusConfig = TypeVar("OneCorpusConfig", bound="CorpusConfig")
Accelerator = Literal["auto", "cpu", "gpu"]


class CorpusConfig(Composed):
    """What a corpus is read by.

    Attributes:
        data: makes the reader.
        protocol: makes the protocol.
        cache_dir: where audio checks, features and transcripts are kept.
    """

    data: NamedField
    protocol: ProtocolField
    cache_dir: Place
    text: TextConfig = TextConfig(source=HUMAN)

    @classmethod
    def read(
        cls: type[OneCorpusConfig], found: Mapping[str, Any], where: str = ""
    ) -> OneCorpusConfig:
        """Takes the fields.

        Raises:
            InputError: one is wrong, be it one of the protocol.
        """
        config = super().read(found, where)
        ProtocolValues.read(config.protocol.arguments, "protocol")
        return config


class DataConfig(CorpusConfig):
    """Of `sermm data`."""

    primary = "data"

    seed: Natural
    ids: bool
    format: Format


class AlignedConfig(CorpusConfig):
    """What units of speech are found by; `device` says what listens."""

    align: AlignConfig

    @property
    def device(self) -> str:
        """Of the aligners that need one, as a trainer's `accelerator`."""
        raise NotImplementedError


def _levels(given: Any) -> Any:
    names = [given] if isinstance(given, str) else given
    levels = [level for level in LEVELS if isinstance(names, list) and level in names]
    if not levels or len(levels) < len(names):
        raise ValueError(f"expected some of [{', '.join(LEVELS)}], each once")
    return tuple(levels)


class AlignVerbConfig(AlignedConfig):
    """Of `sermm align`."""

    primary = "align"

    levels: Annotated[Items[Level], BeforeValidator(_levels)]
    against: str | None
    utterance: str | int | None
    out: str | None
    format: Format
    accelerator: Accelerator

    @property
    def device(self) -> str:
        """Its own accelerator."""
        return self.accelerator


class TranscribeConfig(CorpusConfig):
    """Of `sermm transcribe`.

    Attributes:
        recogniser: makes it; `name` and `batch_seconds` are not the recogniser's own.
        max_seconds: no more is heard of an utterance; None: all.
    """

    primary = "transcribe"

    recogniser: ComponentField
    accelerator: Accelerator
    max_seconds: Positive | None
    format: Format
    texts: bool

    @classmethod
    def read(cls, found: Mapping[str, Any], where: str = "") -> "TranscribeConfig":
        """Takes the fields.

        Raises:
            InputError: one is wrong, or batches would have no length.
        """
        config = super().read(found, where)
        given = config.recogniser.given("batch_seconds")
        if not is_number(given) or given <= 0:
            raise InputError(
                f"recogniser.batch_seconds={given}: expected a number of seconds above 0"
            )
        return config

    @property
    def batch_seconds(self) -> float:
        """Audio in a batch."""
        return float(self.recogniser.given("batch_seconds"))


class WorkConfig(AlignedConfig):
    """What encoders run by, in training, extraction and prediction."""

    features: FeaturesConfig
    trainer: TrainerConfig
    seed: Natural

    @property
    def device(self) -> str:
        """The trainer's accelerator."""
        return self.trainer.accelerator


class EncodersConfig(Record):
    """The encoders that `encoder/speech` and `encoder/text` choose."""

    speech: ComponentField
    text: ComponentField


class ExtractConfig(WorkConfig):
    """Of `sermm extract`."""

    primary = "extract"

    encoder: EncodersConfig
    streams: Items[Literal["speech", "text"]]
    levels: Items[Literal["frame", "phone", "syllable", "word"]]
    literal: bool
    dry_run: bool
    format: Format


def _teacher(given: Any) -> Any:
    if given is None or isinstance(given, str | Mapping | TeacherRecord):
        return given
    raise ValueError(
        "expected a run folder, a key, or a study; a key of digits needs quotes within quotes: "
        "'teacher=\"0123456789012345\"'"
    )


class RunConfig(WorkConfig):
    """Of one run of `sermm train`.

    Attributes:
        withhold_test: whether the test part is neither predicted nor kept, as of a search's trials.
        teacher: the words that name it; once it has been found, its record.
        step: of an experiment's steps, of which each adds something to the one before.
        texts, streams_by_model, by_model: what experiments choose encoders, streams and settings
            from that only one of their models has.
    """

    primary = "train"

    fold: Count
    study: str
    runs_dir: str
    model: ModelConfig
    encoder: Any = None
    augment: AugmentConfig
    remedies: RemediesConfig
    select_on_test: bool
    withhold_test: bool = False
    teacher: Annotated[TeacherRecord | str | None, BeforeValidator(_teacher)]
    distillation: DistillationConfig
    combine: CombineConfig | None
    logger: ComponentField
    texts: Any = None
    streams_by_model: Any = None
    by_model: Any = None
    step: str | None = None

    @classmethod
    def read(cls, found: Mapping[str, Any], where: str = "") -> "RunConfig":
        """Takes the fields.

        Raises:
            InputError: one is wrong, or the epoch is to be chosen on a test part that is withheld,
                or on the test part and as the last one.
        """
        config = super().read(found, where)
        if config.select_on_test and config.trainer.test_epoch == "last":
            raise InputError(
                "select_on_test=true chooses the epoch on the test part, and "
                "trainer.test_epoch=last takes the last one; leave one of them out"
            )
        if config.withhold_test and config.select_on_test:
            raise InputError(
                "select_on_test=true chooses the epoch on the test part, which withhold_test=true "
                "(search=optuna) keeps away; a search chooses on validation: leave select_on_test "
                "out"
            )
        return config

    @property
    def taught_by(self) -> TeacherRecord | None:
        """The teacher, once it has been found."""
        return self.teacher if isinstance(self.teacher, TeacherRecord) else None

    @property
    def study_dir(self) -> Path:
        """The folder of its study.

        Raises:
            InputError: the study's name cannot be that of a folder in `runs_dir`.
        """
        return study_folder(self.runs_dir, self.study)

    @property
    def title(self) -> str:
        """For people: model, data, fold and seed."""
        return (
            f"{self.model.name} on {self.data.name}, {self.protocol.name} fold {self.fold}, "
            f"seed {self.seed}"
        )


_TEXT: Final = frozenset(
    name
    for name, field in RunConfig.model_fields.items()
    if str in (field.annotation, *get_args(field.annotation))
)


def as_typed(words: Sequence[str]) -> list[str]:
    """The words of `sermm train` as Hydra can read them: `study=3.10` is 3.10, and not 3.1.

    Raises:
        InputError: a word cannot be read.
    """
    return as_text(readable(words), _TEXT)


class EvaluateConfig(CorpusConfig):
    """Of `sermm evaluate`: what a run is scored on, where it is not the run's own."""

    primary = "evaluate"

    trainer: TrainerConfig
    fold: Count
    seed: Natural

    @classmethod
    def over(cls, run: RunConfig, words: Sequence[str]) -> RunConfig:
        """The run's configuration with the groups that the words name.

        Raises:
            InputError: a key or a value is wrong.
        """
        asked = cls.of(words).plain
        groups = {word.lstrip("+~").split("=", 1)[0].split(".", 1)[0] for word in words}
        for name in groups - set(asked):
            raise InputError(f"{name}: there is no such key; {near(name, asked)}")
        return run.changed({key: asked[key] for key in groups})


def levels_of(config: Component | Mapping[str, Any]) -> list[Level]:
    """The levels of units that a system's configuration asks for."""
    return sorted(set(_levels_in(config.as_plain() if isinstance(config, Component) else config)))


def _levels_in(config: Any) -> list[Level]:
    if not isinstance(config, Mapping):
        return []
    own = [level for level in LEVELS if config.get("level") == level]
    return own + [level for value in config.values() for level in _levels_in(value)]
