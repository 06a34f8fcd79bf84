"""Makes the encoders of a system from their configurations: live, shared, or from the store."""

import inspect
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate

from sermm.core.errors import InputError
from sermm.encoders.base import Encoder, Modality
from sermm.encoders.normalised import OVER
from sermm.encoders.shared import Shared

_STORED = {"_target_": "sermm.encoders.stored.Stored"}
_NORMALISED = {"_target_": "sermm.encoders.normalised.Normalised"}


def encoder_configs(model: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The encoders of a system by the constructor's argument, `streams.text` for those of a dict.

    Raises:
        InputError: one is missing.
    """
    config = model["system"]
    found: dict[str, Any] = {}
    for parameter in inspect.signature(get_class(config["_target_"])).parameters.values():
        name, kind = parameter.name, parameter.annotation
        if get_origin(kind) is dict and _is_encoder(get_args(kind)[1]):
            found |= {f"{name}.{key}": one for key, one in config[name].items()}
        elif _is_encoder(kind):
            found[name] = config[name]
    for path, one in found.items():
        if one is None or innermost(one).get("encoder", "") is None:
            raise InputError(
                f"model {model['name']} needs an encoder as {path!r}, got none; choose one, for "
                "example encoder/speech=hf or encoder/text=hf, or another model"
            )
    return found


def _is_encoder(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Encoder)


def encoder_config(
    plain: Mapping[str, Any],
    config: dict[str, Any],
    path: str,
    assets: Path | None,
    stored: tuple[int, int] | None,
) -> dict[str, Any]:
    """What makes one encoder of a system: live or from the store, normalised or not."""
    storable = is_storable(config)
    if stored is not None:
        n_layers, width = stored
        shape = {"n_layers": n_layers, "width": width, "modality": encoded_by(config)}
        config = {**_STORED, "stream": path, **shape}
    elif assets is not None and (assets / path).is_dir():
        config = with_assets(config, assets / path)
    over = plain["features"]["normalise"]
    if storable and over != "none":
        config = {**_NORMALISED, "encoder": config, "over": over}
    return config


def innermost(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of an encoder itself, out of what is wrapped around it."""
    while isinstance(config.get("encoder"), Mapping):
        config = config["encoder"]
    return dict(config)


def encoded_by(config: Mapping[str, Any]) -> Modality:
    """What an encoder encodes, by the class that its configuration names."""
    made_by: type[Encoder] = get_class(innermost(config)["_target_"])
    return made_by.modality


def is_storable(config: Mapping[str, Any]) -> bool:
    """Whether the features of an encoder can be kept from run to run."""
    made_by: Any = get_class(innermost(config)["_target_"])
    return bool(made_by.storable)


def with_assets(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The configuration of an encoder that takes what it can from a run's folder."""
    if isinstance(config.get("encoder"), Mapping):
        return {**config, "encoder": with_assets(dict(config["encoder"]), folder)}
    return {**config, "assets": str(folder)} if "assets" in config else config


def refuse_features(plain: Mapping[str, Any]) -> None:
    """Finds wrong options of the features before anything is computed.

    Raises:
        InputError: no such normalisation, or of encoders that are to be trained, or activations
            of encoders that are not trained are to be computed again.
    """
    mode, over = plain["features"]["mode"], plain["features"]["normalise"]
    if plain["features"]["checkpointing"] and mode != "finetune":
        raise InputError(
            "features.checkpointing=true saves memory where encoders are trained, and "
            f"features={mode} trains none; use features=finetune, or leave it out"
        )
    if over not in ("none", *OVER):
        raise InputError(f"features.normalise={over}: expected none, {', '.join(OVER)}")
    if over != "none" and mode == "finetune":
        raise InputError(
            f"features.normalise={over} needs encoders that stay as they are; use features=cached "
            "or features=frozen"
        )


class Makers:
    """Makes encoders; streams with the same one inside share it, and it runs once a batch.

    Args:
        configs: of all encoders of a system.
    """

    def __init__(self, configs: Iterable[Mapping[str, Any]]) -> None:
        counts = Counter(_identity(innermost(config)) for config in configs)
        self._shared = {identity for identity, n in counts.items() if n > 1}
        self._made: dict[str, Encoder] = {}

    def make(self, config: Mapping[str, Any]) -> Encoder:
        """One encoder with what is wrapped around it.

        Raises:
            InputError: it cannot be had.
        """
        if isinstance(config.get("encoder"), Mapping):
            outside = {key: value for key, value in config.items() if key != "encoder"}
            wrap = made({**outside, "_partial_": True})
            wrapped: Encoder = wrap(encoder=self.make(config["encoder"]))
            return wrapped
        identity = _identity(config)
        if identity not in self._shared:
            return make_encoder(config)
        if identity not in self._made:
            self._made[identity] = Shared(make_encoder(config))
        return self._made[identity]


def _identity(config: Mapping[str, Any]) -> str:
    return json.dumps({k: v for k, v in config.items() if k != "assets"}, sort_keys=True)


def make_encoder(config: Mapping[str, Any]) -> Encoder:
    """One encoder by itself.

    Raises:
        InputError: it cannot be had.
    """
    encoder: Encoder = made(config)
    return encoder


def made(config: Mapping[str, Any]) -> Any:
    """What a configuration makes.

    Raises:
        InputError: its constructor did.
    """
    try:
        return instantiate(config, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        raise
