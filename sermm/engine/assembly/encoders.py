"""Makes the encoders of a system from their configurations: live, shared, or from the store.

A configuration of an encoder is a `Component`: a class and its arguments, perhaps wrapped in
further ones (`Segments`, `Normalised`). The functions here turn what the user chose into what is to
be made; nothing is loaded before `Makers.make`. So the same configuration serves for training, for
the names of stored features, and for a system that is taken back from its run.
"""

import inspect
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from sermm.configuration.component import Component
from sermm.configuration.groups import FeaturesConfig, ModelConfig
from sermm.core.errors import InputError
from sermm.encoders.base import Encoder, Modality
from sermm.encoders.shared import Shared

_STORED: Final = "sermm.encoders.stored.Stored"
_NORMALISED: Final = "sermm.encoders.normalised.Normalised"
_ASSETS: Final = "assets"


def encoder_configs(model: ModelConfig) -> dict[str, Component]:
    """The encoders of a system by the constructor's argument, `streams.text` for those of a dict.

    Told by the annotations of the constructor: an argument that is an `Encoder`, or a dict of
    them. A new system needs no list of its encoders anywhere.

    Args:
        model: the system, with its encoders as arguments.

    Returns:
        What makes each, with what is wrapped around it, in the order of the constructor.

    Raises:
        InputError: one is missing.
    """
    found: dict[str, Component | None] = {}
    for parameter in inspect.signature(model.system.object).parameters.values():
        name, kind = parameter.name, parameter.annotation
        if get_origin(kind) is dict and _is_encoder(get_args(kind)[1]):
            streams = model.system.given(name) or {}
            found |= {f"{name}.{key}": one for key, one in streams.items()}
        elif _is_encoder(kind):
            found[name] = model.system.given(name)
    return {path: _there(one, path, model.name) for path, one in found.items()}


def _is_encoder(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Encoder)


def _there(config: Component | None, path: str, model: str) -> Component:
    """The configuration, if one was chosen: no encoder, or a wrapper around none, is refused."""
    if config is None or config.innermost.empty:
        raise InputError(
            f"model {model} needs an encoder as {path!r}, got none; choose one, for example "
            "encoder/speech=hf or encoder/text=hf, or another model"
        )
    return config


def encoder_config(
    features: FeaturesConfig,
    config: Component,
    path: str,
    assets: Path | None,
    stored: tuple[int, int] | None,
) -> Component:
    """What makes one encoder of a system: live or from the store, normalised or not.

    Args:
        features: how hidden states are come by.
        config: of the live encoder, as the user chose it.
        path: its name in the system, such as `speech` or `streams.text`.
        assets: folder of a run's encoders; one that was saved is built from there, needing no hub.
        stored: layers and width of the stored stream; None: the encoder runs live.

    Returns:
        The configuration to be made. Only encoders that can be stored are normalised: one that
        starts from random weights is trained, and statistics of it would not stay true.
    """
    over = getattr(features.normalise, encoded_by(config)) if is_storable(config) else "none"
    if stored is not None:
        n_layers, width = stored
        shape = {"n_layers": n_layers, "width": width, "modality": encoded_by(config)}
        config = Component(_STORED, {"stream": path, **shape})
    elif assets is not None and (assets / path).is_dir():
        config = with_assets(config, assets / path)
    if over != "none":
        config = Component(_NORMALISED, {"over": over}).around(config)
    return config


def encoded_by(config: Component) -> Modality:
    """What an encoder encodes, by the class that its configuration names."""
    encoder: type[Encoder] = config.innermost.object
    return encoder.modality


def is_storable(config: Component) -> bool:
    """Whether the features of an encoder can be kept from run to run."""
    return bool(config.innermost.object.storable)


def with_assets(config: Component, folder: Path) -> Component:
    """The configuration of an encoder that takes what it can from a run's folder.

    Args:
        config: perhaps wrapped; the encoder itself gets the folder.
        folder: of this encoder, as `Encoder.save_assets` wrote it.

    Returns:
        The same configuration where the class has no argument `assets`: it needs none.
    """
    if config.inside is not None:
        return config.around(with_assets(config.inside, folder))
    if _ASSETS not in config.arguments:
        return config
    return config.with_arguments(**{_ASSETS: str(folder)})


def refuse_features(features: FeaturesConfig) -> None:
    """Finds wrong options of the features before anything is computed.

    Args:
        features: of the run.

    Raises:
        InputError: normalisation of encoders that are to be trained (their statistics would be
            those of weights that are gone after the first step), or activations of encoders that
            are not trained are to be computed again.
    """
    if features.checkpointing and features.mode != "finetune":
        raise InputError(
            "features.checkpointing=true saves memory where encoders are trained, and "
            f"features={features.mode} trains none; use features=finetune, or leave it out"
        )
    if features.normalise.plain != "none" and features.mode == "finetune":
        raise InputError(
            "features.normalise needs encoders that stay as they are; use features=cached or "
            "features=frozen, or features.normalise=none"
        )


class Makers:
    """Makes encoders; streams with the same one inside share it, and it runs once a batch.

    Several streams often read one encoder at several levels: frames, phones and words of the same
    wav2vec 2.0. Shared, its weights are in memory once, and all streams train the same ones.

    Args:
        configs: of all encoders of a system.
    """

    def __init__(self, configs: Iterable[Component]) -> None:
        counts = Counter(_identity(config.innermost) for config in configs)
        self._shared = {identity for identity, n in counts.items() if n > 1}
        self._made: dict[str, Encoder] = {}

    def make(self, config: Component) -> Encoder:
        """One encoder with what is wrapped around it.

        Args:
            config: one of those that the maker was built with.

        Raises:
            InputError: it cannot be had.
        """
        if config.inside is not None:
            wrapped: Encoder = config.without("encoder").make(encoder=self.make(config.inside))
            return wrapped
        identity = _identity(config)
        if identity not in self._shared:
            return make_encoder(config)
        if identity not in self._made:
            self._made[identity] = Shared(make_encoder(config))
        return self._made[identity]


def _identity(config: Component) -> str:
    """What two streams must have in common to share an encoder: all but where its assets lie."""
    return json.dumps(config.without(_ASSETS).as_plain(), sort_keys=True)


def make_encoder(config: Component) -> Encoder:
    """One encoder by itself, with its weights; this is where a hub may be asked.

    Raises:
        InputError: it cannot be had.
    """
    encoder: Encoder = config.make()
    return encoder
