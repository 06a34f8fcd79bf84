"""Builds a system from a resolved configuration, anew or as a run folder left it."""

import inspect
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate

from sermm.core.errors import InputError
from sermm.core.files import whole_file
from sermm.core.seeding import seed_of
from sermm.encoders.base import Encoder
from sermm.encoders.normalised import OVER
from sermm.models.base import System

_STORED = {"_target_": "sermm.encoders.stored.Stored"}
_NORMALISED = {"_target_": "sermm.encoders.normalised.Normalised"}


def build(
    plain: dict[str, Any],
    n_classes: int,
    assets: Path | None,
    transcripts: Iterable[str],
    stored: Mapping[str, tuple[int, int]] | None = None,
) -> System:
    """Builds the system; the same seed gives the same initial weights.

    Args:
        plain: a resolved configuration.
        n_classes: k.
        assets: folder of a run's encoders, if they were saved; else None.
        transcripts: of the training part, for encoders that learn a vocabulary.
        stored: number of layers and width of the streams that come from the feature store, by
            the encoder's name; the others run live.

    Raises:
        InputError: an encoder is missing or cannot be loaded, or is to be trained and normalised.
    """
    config = dict(plain["model"]["system"])
    encoders = {}
    for name in encoder_names(config):
        if config[name] is None or innermost(config[name]).get("encoder", "") is None:
            raise InputError(
                f"model {plain['model']['name']} needs an encoder as {name!r}, got none; choose "
                f"one, for example encoder/{name}=hf, or another model"
            )
        wrapped = encoder_config(plain, config.pop(name), name, assets, (stored or {}).get(name))
        # A stream of its own: what else the system draws is the same with any encoder.
        torch.manual_seed(seed_of(plain["seed"], "init", name))
        encoders[name] = make_encoder(wrapped)
    torch.manual_seed(seed_of(plain["seed"], "init"))
    system = _made(config, n_classes=n_classes, **encoders)
    if not isinstance(system, System):
        raise InputError(f"model.system._target_ is no System: {config['_target_']}")
    if assets is None:
        said = list(transcripts)
        for encoder in system.encoders.values():
            encoder.fit(said)
    return system


def encoder_config(
    plain: dict[str, Any],
    config: dict[str, Any],
    name: str,
    assets: Path | None,
    stored: tuple[int, int] | None,
) -> dict[str, Any]:
    """What makes one encoder of a system: live or from the store, normalised or not."""
    storable = is_storable(config)
    if stored is not None:
        n_layers, width = stored
        config = {**_STORED, "stream": name, "n_layers": n_layers, "width": width}
    elif assets is not None and (assets / name).is_dir():
        config = with_assets(config, assets / name)
    over = plain["features"]["normalise"]
    if storable and over != "none":
        config = {**_NORMALISED, "encoder": config, "over": over}
    return config


def encoder_names(config: dict[str, Any]) -> list[str]:
    """The constructor arguments of a system that are encoders, by their annotation."""
    parameters = inspect.signature(get_class(config["_target_"])).parameters.values()
    return [p.name for p in parameters if inspect.isclass(p.annotation) and _is_encoder(p)]


def _is_encoder(parameter: inspect.Parameter) -> bool:
    return issubclass(parameter.annotation, Encoder)


def innermost(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of an encoder itself, out of what is wrapped around it."""
    while isinstance(config.get("encoder"), Mapping):
        config = config["encoder"]
    return dict(config)


def is_storable(config: Mapping[str, Any]) -> bool:
    """Whether the features of an encoder can be kept from run to run."""
    made_by: Any = get_class(innermost(config)["_target_"])
    return bool(made_by.storable)


def with_assets(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The configuration of an encoder that takes what it can from a run's folder."""
    if isinstance(config.get("encoder"), Mapping):
        return {**config, "encoder": with_assets(dict(config["encoder"]), folder)}
    return {**config, "assets": str(folder)} if "assets" in config else config


def refuse_features(plain: dict[str, Any]) -> None:
    """Finds wrong options of the features before anything is computed.

    Raises:
        InputError: no such normalisation, or of encoders that are to be trained.
    """
    over = plain["features"]["normalise"]
    if over not in ("none", *OVER):
        raise InputError(f"features.normalise={over}: expected none, {', '.join(OVER)}")
    if over != "none" and plain["features"]["mode"] == "finetune":
        raise InputError(
            f"features.normalise={over} needs encoders that stay as they are; use features=cached "
            "or features=frozen"
        )


def make_encoder(config: dict[str, Any]) -> Encoder:
    """One encoder by itself.

    Raises:
        InputError: it cannot be had.
    """
    made: Encoder = _made(config)
    return made


def _made(config: dict[str, Any], **arguments: Any) -> Any:
    try:
        return instantiate(config, **arguments, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        raise


def save_assets(system: System, folder: Path) -> None:
    """Writes what the encoders need beside weights, a folder each."""
    for name, encoder in system.encoders.items():
        encoder.save_assets(folder / name)


def weights(system: System) -> dict[str, Any]:
    """The state to keep: all but encoders that can be had again from where they came from."""
    again = reloadable(system)
    return {k: v for k, v in system.state_dict().items() if not (again and k.startswith(again))}


def reloadable(system: System) -> tuple[str, ...]:
    """Where in the state the encoders are that can be had again."""
    return tuple(
        f"{path}."
        for path, module in system.named_modules()
        if isinstance(module, Encoder) and module.reloadable
    )


def load_weights(system: System, state: dict[str, Any], source: str) -> None:
    """Puts kept weights back.

    Raises:
        InputError: they belong to another system.
    """
    again = reloadable(system)
    missing, unexpected = system.load_state_dict(state, strict=False)
    missing = [key for key in missing if not (again and key.startswith(again))]
    if missing or unexpected:
        raise InputError(
            f"{source} does not fit this system: missing {missing[:5]}, unexpected "
            f"{unexpected[:5]}; the run was made by other code, train it again"
        )


def save_weights(system: System, path: Path) -> None:
    """Writes the weights to keep, whole or not at all."""
    # Through memory: on a full disk torch's own writer says nothing of a disk.
    buffer = BytesIO()
    torch.save(weights(system), buffer)
    with whole_file(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_weights(system: System, path: Path) -> None:
    """Reads weights without executing anything that a file may hold.

    Raises:
        InputError: the file is missing, broken, or not of this system.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError) as error:
        raise InputError(
            f"cannot read the weights {path}: {error}; train the run again to have them"
        ) from error
    load_weights(system, state, str(path))
