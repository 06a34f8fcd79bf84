"""Configuration: where it lies, how it is composed, and what of it identifies a run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sermm.configuration.papers import with_papers
from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.records import LEVELS, Level

VERSION_BASE = "1.3"
OWN_PACKAGE = "sermm"

# What cannot change a run's result, and so does not enter its key.
NOT_IDENTITY = (
    "study",
    "runs_dir",
    "cache_dir",
    "logger",
    "data.root",
    "data.manifest",
    "data.partial",
    "features.checkpointing",
    "align.mfa_dir",
    "model.published",
    "model.papers",
    "model.variant",
    "model.curves",
    "model.notes",
    # Where the system and its encoders have what is chosen of them.
    "model.steps",
    "texts",
    "combine",
    "streams_by_model",
    "protocol.notes",
    "trainer.accelerator",
    "trainer.num_workers",
    "trainer.keep_audio_mb",
)


_ESCAPED = re.compile(r"\\([\\()\[\]{}:=, \t])")
# What of the features can change a result; which of their layers are trained, the encoders say.
# What of the teacher can change one: where its folder is does not.
TEACHER_KEYS = ("key", "split_digest")
FEATURE_KEYS = ("mode", "dtype", "precision", "normalise")


def conf_dir() -> Path:
    """The folder of all configuration: `conf/` of a checkout, `sermm/conf` of a wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def compose(name: str, overrides: Sequence[str]) -> DictConfig:
    """Composes the primary configuration `name` with overrides.

    Raises:
        InputError: a key or a value is not known, with Hydra's own explanation.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base=VERSION_BASE):
            return hydra_compose(name, list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(f"{explain(error)} (given: {' '.join(overrides)})") from error


def explain(error: Exception) -> str:
    """Hydra's explanation in one paragraph, its cause included."""
    cause = error.__cause__
    text = str(error).split("Config search path")[0]
    text = text if cause is None else f"{text}: {cause}"
    return "configuration: " + "; ".join(line.strip() for line in text.splitlines() if line.strip())


def first_of_sweep(overrides: Sequence[str]) -> list[str]:
    """The overrides with every sweep (`fold=1,2,3`, `interval(0, 1)`) replaced by its first value.

    Raises:
        InputError: an override cannot be read.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise InputError(f"{explain(error)} (given: {' '.join(overrides)})") from error
    return [
        f"{o.get_key_element()}={_first(o)}" if o.is_sweep_override() else str(o.input_line)
        for o in parsed
    ]


def _first(override: Override) -> str:
    value = override.value()
    if isinstance(value, IntervalSweep):
        return str(value.start)
    return next(iter(override.sweep_string_iterator()))


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain values with every interpolation resolved.

    Raises:
        InputError: something is missing, such as the encoder that a model asks for.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(
            f"{explain(error)}. A model takes its encoders from encoder/speech and encoder/text: "
            "choose one of each that it needs (encoder/text=hf), and give every value marked ???"
        ) from error
    resolved = _as_mapping(plain)
    if "model" in resolved:
        resolved["model"] = with_papers(with_streams(resolved["model"]))
    return resolved


def with_streams(model: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a system with the encoders of the streams that were chosen.

    Raises:
        InputError: there is no such stream, or none was chosen.
    """
    if "available" not in model:
        return model
    known, names = model["available"], model["streams"]
    if not names or len(set(names)) < len(names) or set(names) - set(known):
        raise InputError(
            f"model.streams={names}: expected some of {', '.join(known)}, each once, such as "
            "model.streams=[text,frame]"
        )
    chosen = {name: known[name] for name in known if name in names}
    rest = {key: value for key, value in model.items() if key != "available"}
    return {**rest, "streams": [*chosen], "system": {**model["system"], "streams": chosen}}


def identity(plain: dict[str, Any]) -> dict[str, Any]:
    """What of a resolved configuration can change the result of a run.

    The unused encoders fall away, and devices, batch and accumulation enter as one product. Where
    classes and the cache lie does not count: see `without_places`.
    """
    left_out = {"encoder"} if levels_of(plain["model"]) else {"encoder", "align"}
    teacher = plain["teacher"]
    if teacher is None:
        left_out |= {"teacher", "distillation"}
    kept = OmegaConf.create({k: v for k, v in plain.items() if k not in left_out})
    if isinstance(teacher, Mapping):
        kept.teacher = {key: teacher[key] for key in TEACHER_KEYS}
    kept.features = feature_options(plain)
    trainer = kept.get("trainer")
    if trainer is not None:
        if not isinstance(trainer.devices, int) or trainer.devices < 1:
            raise InputError(f"trainer.devices must be a number from 1, got {trainer.devices!r}")
        for key in ("batch_size", "batch_seconds"):
            if trainer[key] is not None:
                trainer[key] = trainer[key] * trainer.devices * trainer.accumulate
        del trainer["devices"]
        del trainer["accumulate"]
    for key in NOT_IDENTITY:
        parent, _, leaf = key.rpartition(".")
        node = OmegaConf.select(kept, parent) if parent else kept
        if node is not None and leaf in node:
            del node[leaf]
    found = _as_mapping(OmegaConf.to_container(kept))
    return _as_mapping(without_places(found, plain["cache_dir"]))


def without_places(config: Any, cache_dir: str) -> Any:
    """A configuration without the places of what it names, for keys that outlive a move.

    A class of sermm is called by its own name, one of another package by the package's and its own
    (`torch.AdamW`), whatever module holds it; what lies in the cache is called by its place there.
    """
    if isinstance(config, Mapping):
        return {
            key: class_name(value) if key == "_target_" else without_places(value, cache_dir)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [without_places(value, cache_dir) for value in config]
    if isinstance(config, str) and config.startswith(f"{cache_dir}/"):
        return f"cache_dir{config.removeprefix(cache_dir)}"
    return config


def class_name(target: str) -> str:
    """What a class or function is called in a key: its name, and its package if not ours."""
    package, _, rest = target.partition(".")
    name = rest.rpartition(".")[2]
    return name if package == OWN_PACKAGE else f"{package}.{name}"


def feature_options(plain: dict[str, Any]) -> dict[str, Any]:
    """How the features are come by, as far as it can change a result."""
    return {key: plain["features"][key] for key in FEATURE_KEYS if key in plain["features"]}


def levels_of(config: Any) -> list[Level]:
    """The levels of units that a system's configuration asks for."""
    found: list[Level] = []
    if isinstance(config, Mapping):
        if config.get("level") in LEVELS:
            found.append(config["level"])
        for value in config.values():
            found += levels_of(value)
    return sorted(set(found))


def run_key(plain: dict[str, Any]) -> str:
    """Names the run folder: 16 hexadecimal digits of the identity's digest."""
    return digest(identity(plain))[:16]


def system_key(plain: dict[str, Any]) -> str:
    """The same without fold and seed: runs that share it are one row of a table.

    Each fold has a teacher of its own, of which the system counts and, if another, the seed.
    """
    kept = {k: v for k, v in identity(plain).items() if k not in {"fold", "seed"}}
    if (teacher := plain["teacher"]) is not None:
        seed = None if teacher["seed"] == plain["seed"] else teacher["seed"]
        kept["teacher"] = {"system": teacher["system"], "seed": seed}
    return digest(kept)[:16]


def settings(overrides: Sequence[str]) -> dict[str, str]:
    """The user's own overrides, less those that say where, which fold and which seed."""
    skip = {"fold", "seed", "study", "model", "data", "protocol", "experiment", *NOT_IDENTITY}
    pairs = [o.split("=", 1) for o in overrides if "=" in o and not o.startswith("hydra")]
    # What the teacher is says the record, however it was named.
    skip |= {"teacher"}
    kept = {key.lstrip("+"): value for key, value in pairs if key.lstrip("+") not in skip}
    # A sweep's jobs get their words with Hydra's escapes: asr\\:name.
    return {key: _ESCAPED.sub(r"\1", value) for key, value in kept.items()}


def as_yaml(plain: dict[str, Any]) -> str:
    """A resolved configuration as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(plain))


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads back what `as_yaml` gave.

    Raises:
        InputError: there is no such file.
    """
    try:
        return _as_mapping(OmegaConf.to_container(OmegaConf.load(path)))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; is this a run folder?") from error


def _as_mapping(container: Any) -> dict[str, Any]:
    if not isinstance(container, dict):
        raise InputError("the configuration must be a mapping")
    return {str(key): value for key, value in container.items()}
