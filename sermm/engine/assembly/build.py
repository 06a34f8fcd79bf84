"""Builds a system from a resolved configuration, anew or as a run folder left it.

A system gets its encoders as arguments of its constructor. Which arguments are encoders is read off
its annotations (`encoder_configs`), so a system says nothing of how they are made: live or from the
feature store, normalised, shared, with modalities taken away.

What a run keeps comes in two parts. Assets are all but weights that an encoder must have to be
built again (configuration, tokenizer), written once before training. Weights are a state of the
whole system, without encoders that can be had again from where they came from: a system on a frozen
wav2vec 2.0 keeps its own few parameters, and an adapter if there is one, not 95 million that the
hub has.
"""

from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.files import whole_file
from sermm.core.seeding import seed_of
from sermm.encoders.base import Encoder
from sermm.engine.assembly.checkpoints import read_checkpoint
from sermm.engine.assembly.encoders import (
    Makers,
    encoder_config,
    encoder_configs,
)
from sermm.engine.assembly.remedies import may_lose, remedies_of
from sermm.models.base import System


def build(
    config: RunConfig,
    n_classes: int,
    assets: Path | None,
    transcripts: Iterable[str],
    stored: Mapping[str, tuple[int, int]] | None = None,
) -> System:
    """Builds the system; the same seed gives the same initial weights.

    Args:
        config: of the run.
        n_classes: k.
        assets: folder of a run's encoders, if they were saved; else None.
        transcripts: of the training part, for encoders that learn a vocabulary; only looked at
            without `assets`, where the vocabulary has been learned already.
        stored: number of layers and width of the streams that come from the feature store, by
            the encoder's name; the others run live.

    Returns:
        The system on the CPU, its weights initial or those of pre-training.

    Raises:
        InputError: an encoder is missing or cannot be loaded, or is to be trained and normalised,
            or a remedy is wrong.
    """
    encoders = _encoders(config, assets, stored or {})
    torch.manual_seed(seed_of(config.seed, "init"))
    system = config.model.system.without(*encoders).make(n_classes=n_classes, **encoders)
    if not isinstance(system, System):
        raise InputError(f"model.system._target_ is no System: {config.model.system.target}")
    # From assets an encoder has the vocabulary that its weights belong to.
    if assets is None:
        learned_from = list(transcripts)
        for encoder in system.encoders.values():
            encoder.fit(learned_from)
    return system


def _encoders(
    config: RunConfig, assets: Path | None, stored: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """The encoders by the constructor's argument, those of streams in a dict.

    Wrapped from the inside out: what computes or is stored, then normalised, then what takes
    modalities away, so that what stands in for lost states is not normalised itself.
    """
    remedies = remedies_of(config)
    configs = {}
    for path, one in encoder_configs(config.model).items():
        inside = encoder_config(config.features, one, path, assets, stored.get(path))
        configs[path] = may_lose(inside, remedies)
    makers = Makers(configs.values())
    found: dict[str, Any] = {}
    for path, one in configs.items():
        name, _, key = path.partition(".")
        # A stream of its own: what else the system draws is the same with any encoder.
        torch.manual_seed(seed_of(config.seed, "init", path))
        encoder = makers.make(one)
        if key:
            found.setdefault(name, {})[key] = encoder
        else:
            found[name] = encoder
    return found


def save_assets(system: System, folder: Path) -> None:
    """Writes what the encoders need beside weights, a folder each.

    Args:
        system: whose encoders have learned what they must know before training.
        folder: gets one folder by the name of each encoder.
    """
    for name, encoder in system.encoders.items():
        encoder.save_assets(folder / name)


def weights(system: System) -> dict[str, Any]:
    """The state to keep: all but encoders that can be had again from where they came from."""
    again = reloadable(system)
    return {k: v for k, v in system.state_dict().items() if k not in again}


def reloadable(system: System) -> set[str]:
    """The keys of the state whose values can be had again: of encoders less their adapters.

    An encoder that is shared has several, as the state names it once for each stream.
    """
    return {
        f"{path}.{key}"
        for path, module in system.named_modules(remove_duplicate=False)
        if isinstance(module, Encoder) and module.reloadable
        for key in module.state_dict()
        if module.reloads(key)
    }


def load_weights(system: System, state: dict[str, Any], source: str) -> None:
    """Puts kept weights back.

    Args:
        system: built as the one that they are of.
        state: of `weights`.
        source: where it comes from, for messages.

    Raises:
        InputError: they belong to another system.
    """
    again = reloadable(system)
    missing, unexpected = system.load_state_dict(state, strict=False)
    # Not kept, so not in the file; they came from the hub when the system was built.
    missing = [key for key in missing if key not in again]
    if missing or unexpected:
        raise InputError(
            f"{source} does not fit this system: missing {missing[:5]}, unexpected "
            f"{unexpected[:5]}; the run was made by other code, train it again"
        )


def save_weights(system: System, path: Path) -> None:
    """Writes the weights to keep, whole or not at all.

    Args:
        system: trained so far.
        path: of the file; an earlier one is replaced.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    # Through memory: on a full disk torch's own writer says nothing of a disk.
    buffer = BytesIO()
    torch.save(weights(system), buffer)
    with whole_file(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_weights(system: System, path: Path) -> None:
    """Reads weights without executing anything that a file may hold.

    Args:
        system: gets them.
        path: of a file of `save_weights`.

    Raises:
        InputError: the file is missing, broken, or not of this system.
    """
    try:
        state = read_checkpoint(path)
    except InputError as error:
        raise InputError(
            f"{error}, and with it the weights of the run; remove its folder and train it again"
        ) from error
    load_weights(system, state, str(path))
