"""The encoders of a system whose hidden states can be stored, and the names of what is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from hydra.utils import get_class

from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.records import LEVELS
from sermm.encoders.precision import device_for, precision_for
from sermm.engine.assembly.encoders import encoder_configs, innermost
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
    encoder: dict[str, Any]
    level: str
    literal: bool = False

    def description(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """All that determines the stored values.

        Raises:
            InputError: the encoder cannot be had, or cannot be stored.
        """
        options = plain["features"]
        precision = precision_for(options["precision"], device_for(plain["trainer"]["accelerator"]))
        return {
            **described(self.encoder, self.name),
            "level": self.level,
            **({"literal": True} if self.literal else {}),
            "dtype": options["dtype"],
            "precision": precision,
            "versions": {name: version(name) for name in _LIBRARIES},
        }

    def keys(self, work: Work) -> dict[str, str]:
        """The store's key of each utterance: a digest of what the encoder reads of it."""
        return {i: digest(self._read(i, work)) for i in work.utterances}

    def _read(self, utterance_id: str, work: Work) -> list[Any]:
        if self.level == "token":
            return ["text", work.loaded.texts[utterance_id]]
        cut_s = work.most_s if work.loaded.durations[utterance_id] > work.most_s else None
        sound = ["speech", work.loaded.digests[utterance_id], cut_s]
        if self.level == "frame":
            return sound
        return [*sound, work.units[self.level][utterance_id].tolist()]


def streams(plain: Mapping[str, Any]) -> list[Stream]:
    """The encoders of the configured system that can be stored.

    Raises:
        InputError: an encoder is there that is neither stored nor trained.
    """
    found = []
    for name, config in encoder_configs(plain["model"]).items():
        inner = innermost(config)
        encoder: Any = get_class(inner["_target_"])
        if not encoder.storable:
            if "trainable" in inner:
                raise InputError(
                    f"features=cached: the {name} encoder {inner['_target_'].rpartition('.')[2]} "
                    "starts from random weights in every run, so its features cannot be stored; "
                    "choose a pre-trained one (such as encoder/speech=hf) or features=finetune"
                )
            continue
        level = "token" if "tokens" in encoder.needs else config.get("level", "frame")
        found.append(Stream(name, inner, level, level in LEVELS and bool(config["literal"])))
    return found


def streams_asked(plain: Mapping[str, Any]) -> list[Stream]:
    """The streams that `streams` and `levels` of `sermm extract` name.

    Raises:
        InputError: there is no such stream or level.
    """
    found = []
    for kind in plain["streams"]:
        if kind not in ("speech", "text"):
            raise InputError(f"streams={kind}: expected speech or text")
        levels = ["token"] if kind == "text" else plain["levels"]
        for level in levels:
            if level not in ("token", "frame", *LEVELS):
                raise InputError(f"levels={level}: expected frame, {', '.join(LEVELS)}")
            literal = bool(plain["literal"]) and level in LEVELS
            found.append(Stream(kind, plain["encoder"][kind], level, literal))
    return found


def described(encoder: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What determines the hidden states of an encoder by its configuration.

    Raises:
        InputError: they cannot be stored.
    """
    arguments = {key: value for key, value in encoder.items() if key != "_target_"}
    made_by: Any = get_class(encoder["_target_"])
    if not made_by.storable:
        raise InputError(
            f"the {name} encoder {made_by.__name__} has no features that could be stored; "
            "choose a pre-trained one, such as encoder/speech=hf"
        )
    found: dict[str, Any] = made_by.described(**arguments)
    return found
