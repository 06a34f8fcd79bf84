"""The encoders of a system whose hidden states can be stored, and the names of what is stored.

A store is named by a description: all that determines the values in it (weights, layers, level,
precision, versions of the libraries). A value's key is a digest of what the encoder reads of the
utterance. Both are of content: the same recording in another corpus, or under another id, is stored
once, and whatever changes a value changes a name, so nothing stale can be read. Batches and threads
are no part of a name: they change no more than rounding (`one_pass`), and whoever has more cores
would find nothing stored.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sermm.configuration.component import Component
from sermm.configuration.verbs import ExtractConfig, RunConfig, WorkConfig
from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.records import LEVELS
from sermm.encoders.precision import device_for, precision_for
from sermm.engine.assembly.encoders import encoder_configs
from sermm.engine.inputs.work import Work

# What computes or reads the values; their versions are part of a store's name.
_LIBRARIES = ("torch", "torchaudio", "transformers")


@dataclass(frozen=True)
class Stream:
    """One encoder of a system, and the positions it is read at.

    Attributes:
        name: the system's argument.
        encoder: configuration of the encoder itself, without what is wrapped around it.
        level: token (text), frame, phone, syllable or word.
        literal: units as the paper prints them (see `sermm.encoders.segments`).
    """

    name: str
    encoder: Component
    level: str
    literal: bool = False

    def description(self, config: WorkConfig) -> dict[str, Any]:
        """All that determines the stored values, to rounding.

        Args:
            config: has the options of the features, and the device that `precision: auto` depends
                on.

        Raises:
            InputError: the encoder cannot be had, or cannot be stored.
        """
        options = config.features
        precision = precision_for(str(options.precision), device_for(config.device))
        return {
            **described(self.encoder, self.name),
            "level": self.level,
            **({"literal": True} if self.literal else {}),
            "dtype": options.dtype,
            "precision": precision,
            "versions": {name: version(name) for name in _LIBRARIES},
        }

    def keys(self, work: Work) -> dict[str, str]:
        """The store's key of each utterance: a digest of what the encoder reads of it.

        Args:
            work: the utterances, with the units of the stream's level.
        """
        return {i: digest(self._read(i, work)) for i in work.utterances}

    def _read(self, utterance_id: str, work: Work) -> list[Any]:
        """What the encoder reads of an utterance: its text, or its samples and its units' times.

        The cut enters only where it cuts: with a longer `trainer.max_seconds` most keys stay.
        """
        if self.level == "token":
            return ["text", work.loaded.texts[utterance_id]]
        cut_s = work.most_s if work.loaded.durations[utterance_id] > work.most_s else None
        sound = ["speech", work.loaded.digests[utterance_id], cut_s]
        if self.level == "frame":
            return sound
        return [*sound, work.units[self.level][utterance_id].tolist()]


def streams(config: RunConfig) -> list[Stream]:
    """The encoders of the configured system that can be stored.

    Args:
        config: of a run with `features=cached`.

    Returns:
        A stream for each; encoders that nothing is stored of and that have no `trainable`, such as
        spectra, run live and are left out.

    Raises:
        InputError: an encoder is there that is neither stored nor trained.
    """
    found = []
    for name, wrapped in encoder_configs(config.model).items():
        inner = wrapped.innermost
        encoder = inner.object
        if not encoder.storable:
            if "trainable" in inner.arguments:
                raise InputError(
                    f"features=cached: the {name} encoder {inner.class_name} "
                    "starts from random weights in every run, so its features cannot be stored; "
                    "choose a pre-trained one (such as encoder/speech=hf) or features=finetune"
                )
            continue
        level = "token" if "tokens" in encoder.needs else wrapped.given("level") or "frame"
        literal = level in LEVELS and bool(wrapped.given("literal"))
        found.append(Stream(name, inner, level, literal))
    return found


def streams_asked(config: ExtractConfig) -> list[Stream]:
    """The streams that `streams` and `levels` of `sermm extract` name.

    Text has one level, its tokens, whatever `levels` says.

    Args:
        config: of the verb.
    """
    encoders = {"speech": config.encoder.speech, "text": config.encoder.text}
    return [
        Stream(kind, encoders[kind], level, config.literal and level in LEVELS)
        for kind in config.streams
        for level in (("token",) if kind == "text" else config.levels)
    ]


def described(encoder: Component, name: str) -> dict[str, Any]:
    """What determines the hidden states of an encoder by its configuration.

    Read without loading the weights: asking what is stored must be quick.

    Args:
        encoder: without what is wrapped around it.
        name: of the stream, for the message.

    Raises:
        InputError: they cannot be stored.
    """
    made_by: Any = encoder.object
    if not made_by.storable:
        raise InputError(
            f"the {name} encoder {encoder.class_name} has no features that could be stored; "
            "choose a pre-trained one, such as encoder/speech=hf"
        )
    found: dict[str, Any] = made_by.described(**encoder.arguments)
    return found
