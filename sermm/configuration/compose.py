"""Where the configuration lies, and how Hydra composes it."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sermm.configuration.papers import with_papers
from sermm.core.damage import damaged
from sermm.core.errors import InputError, near

VERSION_BASE = "1.3"
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNKNOWN = re.compile(r"Could not override '([^']+)'")


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
        explained = explain(error)
        if (unknown := _UNKNOWN.search(str(error))) is not None:
            # Hydra advises to add it with a plus, and then nothing would read it.
            explained = _unknown_key(name, overrides, unknown[1])
        raise InputError(f"{explained} (given: {' '.join(overrides)})") from error


def _unknown_key(name: str, overrides: Sequence[str], key: str) -> str:
    """That there is no such key, and which come near it."""
    parent, _, leaf = key.rpartition(".")
    others = [word for word in overrides if word.split("=", 1)[0].lstrip("+~") != key]
    try:
        whole = compose(name, others)
    except InputError as error:
        return f"{key}: there is no such key, and {error}"
    inside = OmegaConf.select(whole, parent) if parent else whole
    known = [str(one) for one in inside] if isinstance(inside, DictConfig) else []
    return f"{key}: there is no such key; {near(leaf, known)}"


def explain(error: Exception) -> str:
    """Hydra's explanation in one paragraph, its cause included."""
    cause = error.__cause__
    text = str(error).split("Config search path")[0]
    text = text if cause is None else f"{text}: {cause}"
    return "configuration: " + "; ".join(line.strip() for line in text.splitlines() if line.strip())


def words_as_text(words: Sequence[str], keys: Collection[str]) -> list[str]:
    """Words with the values of some keys quoted where Hydra would read a number, or nothing at all.

    Args:
        words: as typed; what has quotes, brackets or interpolations of its own stays.
        keys: whose values are text.
    """
    return [_as_text(word) if word.split("=", 1)[0] in keys else word for word in words]


def _as_text(word: str) -> str:
    key, found, text = word.partition("=")
    if not found or set(text) & set("'\"[]{}$\\"):
        return word
    if not _read_as(word):
        return f"{key}='{text}'"
    # One of a sweep (`study=3.10,3.11`), or the only one.
    values = [
        f"'{one}'" if _read_as(f"{key}={one}") & {int, float, bool} else one
        for one in text.split(",")
    ]
    return f"{key}={','.join(values)}"


def _read_as(word: str) -> set[type]:
    """The type that Hydra reads a value as; none where it cannot be read."""
    try:
        return {type(OverridesParser.create().parse_override(word).value())}
    except HydraException:
        return set()


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


def as_yaml(plain: Mapping[str, Any]) -> str:
    """A resolved configuration as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(plain)))


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads back what `as_yaml` gave; a file by somebody else takes no more time than its length.

    Raises:
        InputError: there is no such file, or it is damaged, or holds what `as_yaml` never writes.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # A few lines of aliases to aliases stand for billions of values.
        if any(isinstance(one, yaml.AliasEvent) for one in yaml.parse(text, _PARSER)):
            raise InputError(f"{path} holds YAML aliases, which no run writes; it is not read")
        found = OmegaConf.to_container(OmegaConf.create(text))
    except FileNotFoundError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; is this a run folder?") from error
    except InputError:
        raise
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(found, dict):
        raise damaged(path, f"it holds a {type(found).__name__}, expected a mapping")
    return _as_mapping(found)


def _as_mapping(container: Any) -> dict[str, Any]:
    if not isinstance(container, dict):
        raise InputError("the configuration must be a mapping")
    return {str(key): value for key, value in container.items()}
