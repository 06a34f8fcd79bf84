"""Remedies against overfitting for any system of two modalities (`conf/remedies`).

Source: Li 2025, section 5.1. Its other two remedies, noise and synonyms, vary what is read
(`conf/augment`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from hydra.utils import get_class

from sermm.core.errors import InputError
from sermm.encoders.base import Modality
from sermm.encoders.modality_dropout import FILLS
from sermm.engine.assembly.encoders import encoded_by, encoder_configs
from sermm.models.base import CountingSystem

_DROPPED: Final = {"_target_": "sermm.encoders.modality_dropout.ModalityDropout"}
KINDS: Final = ("infonce", "supervised")
_SETTINGS: Final = {
    "contrastive": ("kind", "weight", "temperature", "width"),
    "modality_dropout": ("p", "fill"),
}


@dataclass(frozen=True)
class Remedies:
    """The settings of those that are on, by name; they have been checked."""

    settings: Mapping[str, Mapping[str, Any]]

    def __str__(self) -> str:
        return ", ".join(
            f"{name} ({', '.join(f'{key} {value}' for key, value in one.items())})"
            for name, one in self.settings.items()
        )

    @property
    def p_lost(self) -> float:
        """How likely an utterance loses a modality in training."""
        dropout = self.settings.get("modality_dropout")
        return 0.0 if dropout is None else float(dropout["p"])

    def around(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration of an encoder whose states may be lost."""
        dropout = self.settings.get("modality_dropout")
        if dropout is None:
            return config
        return {**_DROPPED, "encoder": config, "fill": dropout["fill"]}


def remedies_of(plain: Mapping[str, Any]) -> Remedies:
    """The remedies of a run; none for systems that only count.

    Raises:
        InputError: a setting is wrong, or the system does not read speech and text.
    """
    if "remedies" not in plain:
        # A run from before there were any.
        return Remedies({})
    given = plain["remedies"]
    if unknown := sorted(set(given) - set(_SETTINGS)):
        raise InputError(f"remedies.{unknown[0]}: expected some of {', '.join(_SETTINGS)}")
    found = {name: dict(given[name]) for name in _SETTINGS if given[name] is not None}
    for name, one in found.items():
        if set(one) != set(_SETTINGS[name]):
            raise InputError(
                f"remedies.{name} has {', '.join(one) or 'nothing'}: expected "
                f"{', '.join(_SETTINGS[name])}, as in remedies=li2025"
            )
        for key, value in one.items():
            _refuse(name, key, value)
    if not found or issubclass(get_class(plain["model"]["system"]["_target_"]), CountingSystem):
        return Remedies({})
    there = {encoded_by(config) for config in encoder_configs(plain["model"]).values()}
    if missing := [one for one in get_args(Modality) if one not in there]:
        raise InputError(
            f"remedies.{next(iter(found))} needs speech and text, and {plain['model']['name']} "
            f"reads no {missing[0]}; set remedies=none, or take a model of both, such as "
            "late_fusion"
        )
    return Remedies(found)


def _refuse(name: str, key: str, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    allowed, expected = {
        "kind": (value in KINDS, " or ".join(KINDS)),
        "weight": (number and value > 0, "a number above 0"),
        "temperature": (number and value > 0, "a number above 0"),
        "width": (type(value) is int and value >= 1, "a whole number from 1"),
        "p": (number and 0 <= value <= 1, "a number from 0 to 1"),
        "fill": (value in FILLS, " or ".join(FILLS)),
    }[key]
    if not allowed:
        raise InputError(f"remedies.{name}.{key}={value}: expected {expected}")
