"""What a run was run with, as its result keeps it (`sermm.runs.setup`), and how large it is."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sermm.configuration.component import Component
from sermm.configuration.identity import class_name
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.encoders.base import Encoder
from sermm.encoders.hf.base import transformers_in
from sermm.encoders.precision import device_for, precision_for
from sermm.encoders.stored import Stored
from sermm.engine.assembly.encoders import encoder_configs
from sermm.models.base import CountingSystem, System
from sermm.runs.result import Parameters
from sermm.runs.setup import ENCODERS, EncoderSetup, Setup

# Arguments of encoders that say where they come from, which their name and revision do.
_PLACES: Final = ("id", "revision", "root", "assets")
# The settings of the trainer that can change a result; devices, batch and accumulation are one.
_TRAINER: Final = (
    "max_epochs", "monitor", "patience", "batch_seconds", "clip_norm", "max_seconds", "batching",
    "test_epoch",
)  # fmt: skip
_REVISION_DIGITS: Final = 12
# Keys that say nothing of a system that does not read the modality.
_OF_MODALITY: Final = {
    "speech": ("features.normalise.speech",),
    "text": ("features.normalise.text", "text.source"),
}


def setup_of(config: RunConfig, system: System, varied: Mapping[str, Any] | None) -> Setup:
    """Encoders and recipe of a run.

    Args:
        config: of the run.
        system: built of it.
        varied: what varies audio and words in training, by kind.
    """
    encoders = tuple(_encoders(config, system))
    if isinstance(system, CountingSystem):
        return Setup(config.model.variant, encoders, {})
    found = recipe(config, varied)
    read = {one.modality for one in encoders}
    for kind, keys in _OF_MODALITY.items():
        if kind not in read:
            found = {key: value for key, value in found.items() if key not in keys}
    return Setup(config.model.variant, encoders, found, tuple(_changed(config, found)))


def _changed(config: RunConfig, found: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a recipe that are not as the file of the model has them."""
    try:
        own = recipe(RunConfig.of([f"model={config.model.name}"]))
    except InputError:
        # a model that has no file by its name, as of another package
        return
    yield from (key for key, value in found.items() if own.get(key) != value)


def parameters(config: RunConfig, system: System) -> Parameters:
    """How large a system is; stored encoders have left no weights, but count as live ones do."""
    own = list(system.parameters())
    of_encoders = {id(p): p.numel() for e in system.encoders.values() for p in e.parameters()}
    total = sum(p.numel() for p in own)
    stored = sum(
        size for _, _, encoder, size in _each_once(config, system) if _is_stored(encoder) and size
    )
    return Parameters(
        total=total + stored,
        trainable=sum(p.numel() for p in own if p.requires_grad),
        head=total - sum(of_encoders.values()),
    )


def recipe(config: RunConfig, varied: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """How a system learns, by key of the configuration.

    Args:
        config: of the run.
        varied: what varies audio and words in training, by kind.
    """
    learning, trainer = config.model.learning, config.trainer
    optimizer = learning.optimizer
    parts = trainer.devices * trainer.accumulate
    batch = None if trainer.batch_size is None else trainer.batch_size * parts
    rates = {key: value for key, value in learning.model_dump().items() if key != "optimizer"}
    found = {
        "features.mode": config.features.mode,
        **{f"features.normalise.{k}": v for k, v in config.features.normalise.model_dump().items()},
        "text.source": config.text.source,
        "augment": "+".join(sorted(varied or ())) or None,
        "remedies": "+".join(sorted(config.remedies.model_dump(exclude_none=True))) or None,
        "model.learning.optimizer": class_name(optimizer.target).rpartition(".")[2],
        **{f"model.learning.optimizer.{k}": v for k, v in _scalars(optimizer.arguments)},
        **{f"model.learning.{key}": value for key, value in rates.items()},
        **{f"trainer.{key}": getattr(trainer, key) for key in _TRAINER},
        "trainer.batch_size": batch,
        "trainer.precision": precision_for(trainer.precision, device_for(config.device)),
    }
    head = config.model.system.without(*_encoder_arguments(config))
    return found | {f"model.system.{key}": value for key, value in _scalars(head.arguments)}


def _encoder_arguments(config: RunConfig) -> list[str]:
    """The arguments of the system that are encoders."""
    return [path.partition(".")[0] for path in encoder_configs(config.model)]


def _scalars(arguments: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Values that are no classes and no lists, by dotted name."""
    for key, value in arguments.items():
        if isinstance(value, Component):
            yield from _scalars(value.arguments, f"{above}{key}.")
        elif value is None or isinstance(value, str | bool | int | float):
            yield f"{above}{key}", value


def _encoders(config: RunConfig, system: System) -> Iterator[EncoderSetup]:
    """Each encoder once, as it was chosen, with where its weights come from."""
    for path, chosen, encoder, size in _each_once(config, system):
        made_by: type[Encoder] = chosen.object
        origin = made_by.origin(**chosen.arguments)
        yield EncoderSetup(
            key=key_of(config, path, chosen),
            modality=made_by.modality,
            name=origin.name,
            weights=origin.weights,
            revision=_revision(chosen),
            parameters=size,
            settings=settings_of(chosen) | adapter_of(chosen, encoder),
        )


def settings_of(chosen: Component) -> dict[str, Any]:
    """What an encoder is made with, less where it comes from."""
    lists = {k: list(v) for k, v in chosen.arguments.items() if isinstance(v, list | tuple)}
    return {k: v for k, v in _scalars(chosen.arguments) if k not in _PLACES} | lists


def adapter_of(chosen: Component, encoder: Encoder) -> dict[str, Any]:
    """The adapter of an encoder, in words and by its settings; nothing where it has none."""
    found = next((one for one in transformers_in(encoder) if one.adapter is not None), None)
    if found is None or (lora := found.adapter) is None:
        return {}
    top = settings_of(chosen).get("trainable", "all")
    where = "" if top == "all" else f", top {top} layers"
    words = f"LoRA rank {lora.rank} ({', '.join(lora.targets or ())}{where})"
    settings = {key: one for key, one in lora.plain.items() if key != "kind"}
    return {"adapter": words} | {f"adapter.{key}": one for key, one in settings.items()}


def _each_once(
    config: RunConfig, system: System
) -> Iterator[tuple[str, Component, Encoder, int | None]]:
    """Path, configuration, encoder and number of parameters; streams may share an encoder."""
    seen = []
    for path, wrapped in encoder_configs(config.model).items():
        chosen = wrapped.innermost
        if chosen not in seen:
            seen.append(chosen)
            encoder = system.encoders[path]
            yield path, chosen, encoder, _size(chosen, encoder)


def _is_stored(encoder: Encoder) -> bool:
    return any(isinstance(part, Stored) for part in encoder.modules())


def _size(chosen: Component, encoder: Encoder) -> int | None:
    if not _is_stored(encoder):
        return sum(p.numel() for p in encoder.parameters())
    try:
        size: int | None = chosen.object.size(**chosen.arguments)
    except InputError:
        # what was stored outlives the checkpoint
        return None
    return size


def key_of(config: RunConfig, path: str, chosen: Component) -> str:
    """The key of the configuration that chose an encoder."""
    groups: Mapping[str, Any] = config.encoder or {}
    plain = chosen.as_plain()
    found = (key for key in ENCODERS if groups.get(key.rpartition(".")[2]) == plain)
    return next(found, f"model.system.{path}")


def _revision(chosen: Component) -> str | None:
    """The commit on the hub, or the first digits of the digest of a folder's files."""
    if not chosen.object.storable:
        return None
    try:
        weights = str(chosen.object.described(**chosen.arguments)["weights"])
    except InputError:
        # the run is finished: what cannot be looked up any more does not undo it
        return None
    kind, _, rest = weights.partition(":")
    return (rest if kind == "folder" else rest.rpartition("@")[2])[:_REVISION_DIGITS]
