"""Remedies against overfitting for any system of two modalities (`conf/remedies`).

Source: Li 2025, section 5.1. Its other two remedies, noise and synonyms, vary what is read
(`conf/augment`).

Modality dropout is a wrapper around every encoder, put on here; the contrastive loss is an
objective beside the system (`sermm.engine.training.contrastive`). Neither is part of a system, so
any system of speech and text can have them, and a trained one has no trace of them but an encoder's
wrapper.
"""

from typing import Final, get_args

from sermm.configuration.component import Component
from sermm.configuration.groups import RemediesConfig
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.encoders.base import Modality
from sermm.engine.assembly.encoders import encoded_by, encoder_configs
from sermm.models.base import CountingSystem

_DROPPED: Final = "sermm.encoders.modality_dropout.ModalityDropout"
NONE: Final = RemediesConfig(contrastive=None, modality_dropout=None)


def remedies_of(config: RunConfig) -> RemediesConfig:
    """The remedies of a run; none for systems that only count.

    Args:
        config: of the run.

    Returns:
        Those that were asked for, as they are. A floor in a sweep of many models counts and does
        not learn, so it is not refused for what the others are given.

    Raises:
        InputError: the system does not read speech and text.
    """
    asked = config.remedies
    if asked == NONE or issubclass(config.model.system.object, CountingSystem):
        return NONE
    there = {encoded_by(one) for one in encoder_configs(config.model).values()}
    if missing := [one for one in get_args(Modality) if one not in there]:
        raise InputError(
            f"remedies.{next(iter(settings_of(asked)))} needs speech and text, and "
            f"{config.model.name} reads no {missing[0]}; set remedies=none, or take a model of "
            "both, such as late_fusion"
        )
    return asked


def settings_of(remedies: RemediesConfig) -> dict[str, dict[str, object]]:
    """Those that are on, by name, as a result says them."""
    return remedies.model_dump(exclude_none=True)


def described(remedies: RemediesConfig) -> str:
    """Those that are on, for people: `modality_dropout (p 0.1, fill zero)`."""
    return ", ".join(
        f"{name} ({', '.join(f'{key} {value}' for key, value in one.items())})"
        for name, one in settings_of(remedies).items()
    )


def p_lost(remedies: RemediesConfig) -> float:
    """How likely an utterance loses a modality in training, from 0 to 1; drawn by the `Learner`."""
    return 0.0 if remedies.modality_dropout is None else remedies.modality_dropout.p


def may_lose(config: Component, remedies: RemediesConfig) -> Component:
    """The configuration of an encoder whose states may be lost in training.

    Args:
        config: of the encoder with all else that is around it.
        remedies: of the run; without modality dropout nothing is wrapped.
    """
    dropout = remedies.modality_dropout
    if dropout is None:
        return config
    return Component(_DROPPED, {"fill": dropout.fill}).around(config)
