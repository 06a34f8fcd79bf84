"""Builds a system from a resolved configuration, anew or as a run folder left it."""

import inspect
from collections.abc import Iterable
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
from sermm.models.base import System


def build(
    plain: dict[str, Any], n_classes: int, assets: Path | None, transcripts: Iterable[str]
) -> System:
    """Builds the system; the same seed gives the same initial weights.

    Args:
        plain: a resolved configuration.
        n_classes: k.
        assets: folder of a run's encoders, if they were saved; else None.
        transcripts: of the training part, for encoders that learn a vocabulary.

    Raises:
        InputError: an encoder is missing or cannot be loaded.
    """
    torch.manual_seed(seed_of(plain["seed"], "init"))
    config = dict(plain["model"]["system"])
    for name in encoder_names(config):
        if config[name] is None:
            raise InputError(
                f"model {plain['model']['name']} needs an encoder as {name!r}, got none; choose "
                f"one, for example encoder/{name}=hf, or another model"
            )
        if assets is not None and (assets / name).is_dir() and "assets" in config[name]:
            config[name] = {**config[name], "assets": str(assets / name)}
    system = _instantiate(config, n_classes)
    if assets is None:
        said = list(transcripts)
        for encoder in system.encoders.values():
            encoder.fit(said)
    return system


def encoder_names(config: dict[str, Any]) -> list[str]:
    """The constructor arguments of a system that are encoders, by their annotation."""
    parameters = inspect.signature(get_class(config["_target_"])).parameters.values()
    return [p.name for p in parameters if inspect.isclass(p.annotation) and _is_encoder(p)]


def _is_encoder(parameter: inspect.Parameter) -> bool:
    from sermm.encoders.base import Encoder

    return issubclass(parameter.annotation, Encoder)


def _instantiate(config: dict[str, Any], n_classes: int) -> System:
    try:
        system = instantiate(config, n_classes=n_classes, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise cause from None
        raise
    if not isinstance(system, System):
        raise InputError(f"model.system._target_ is no System: {config['_target_']}")
    return system


def save_assets(system: System, folder: Path) -> None:
    """Writes what the encoders need beside weights, a folder each."""
    for name, encoder in system.encoders.items():
        encoder.save_assets(folder / name)


def weights(system: System) -> dict[str, Any]:
    """The state to keep: all but encoders that can be had again from where they came from."""
    again = tuple(f"{n}." for n, encoder in system.encoders.items() if encoder.reloadable)
    return {k: v for k, v in system.state_dict().items() if not (again and k.startswith(again))}


def load_weights(system: System, state: dict[str, Any], source: str) -> None:
    """Puts kept weights back.

    Raises:
        InputError: they belong to another system.
    """
    again = tuple(f"{n}." for n, encoder in system.encoders.items() if encoder.reloadable)
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
