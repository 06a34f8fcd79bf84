"""Where the configuration lies, and how Hydra composes it."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from sermm.configuration.groups import ModelConfig
from sermm.configuration.papers import with_papers
from sermm.configuration.words import at_home, readable
from sermm.core.damage import damaged
from sermm.core.errors import InputError, near

# Hydra 1.4 behaves in one way only, and warns of being told which.
BASE: Any = {"version_base": "1.3"} if version("hydra-core").startswith("1.3.") else {}
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What an interpolation reads of the model.
_READ = re.compile(r"[{:]model\.(\w+)")
# Of lists and mappings within each other; a configuration has seven.
_DEEPEST = 50
_UNKNOWN = re.compile(r"Could not override '([^']+)'")
# For what Hydra itself makes folders of, before `resolved`.
OmegaConf.register_new_resolver("at_home", at_home, replace=True)


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
    return with_hydra(name, overrides)[0]


def with_hydra(name: str, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
    """The configuration, and Hydra's own part of it: mode, launcher and sweeper.

    Raises:
        InputError: as `compose`.
    """
    GlobalHydra.instance().clear()
    overrides = readable(overrides)
    try:
        with initialize_config_dir(str(conf_dir()), **BASE):
            whole = hydra_compose(name, overrides, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        explained = explain(error)
        if (unknown := _UNKNOWN.search(str(error))) is not None:
            # Hydra advises to add it with a plus, and then nothing would read it.
            explained = _unknown_key(name, overrides, unknown[1])
        raise InputError(f"{explained} (given: {' '.join(overrides)})") from error
    own: DictConfig = whole.hydra
    return without_hydra(whole), own


def without_hydra(whole: DictConfig) -> DictConfig:
    """A configuration without Hydra's own part."""
    with read_write(whole), open_dict(whole):
        del whole["hydra"]
    return whole


@cache
def each_of(group: str) -> dict[str, dict[str, Any]]:
    """What every file of a group gives, by its name; those with an underscore are parts of others.

    For those who look for another one, maybe in the middle of a run that Hydra has started.
    """
    names = sorted(path.stem for path in (conf_dir() / group).glob("[!_]*.yaml"))
    hydra = GlobalHydra.instance()
    started, hydra.hydra = hydra.hydra, None
    try:
        with initialize_config_dir(str(conf_dir()), **BASE):
            return {one: resolved(hydra_compose(f"{group}/{one}"))[group] for one in names}
    finally:
        hydra.hydra = started


def is_sweep(own: DictConfig) -> bool:
    """Whether the configuration says of itself that it is many runs (`hydra.mode`).

    Experiments and searches do; Hydra 1.4 looks for it nowhere but in the words and in the primary
    configuration.

    Args:
        own: Hydra's part of the configuration.
    """
    return str(own.mode).endswith("MULTIRUN")


def _unknown_key(name: str, overrides: Sequence[str], key: str) -> str:
    """That there is no such key, and which come near it, or is called so elsewhere."""
    parent, _, leaf = key.rpartition(".")
    others = [word for word in overrides if word.split("=", 1)[0].lstrip("+~") != key]
    try:
        whole = compose(name, others)
    except InputError as error:
        return f"{key}: there is no such key, and {error}"
    inside = OmegaConf.select(whole, parent) if parent else whole
    known = [str(one) for one in inside] if isinstance(inside, DictConfig) else []
    elsewhere = [f"{group}.{leaf}" for group in map(str, whole) if leaf in _keys(whole, group)]
    hint = f"there is {', '.join(elsewhere)}" if elsewhere else near(leaf, known)
    return f"{key}: there is no such key; {hint}"


def _keys(config: DictConfig, group: str) -> list[str]:
    """The keys of a group; none where it is a value, or waits for one."""
    found = None if OmegaConf.is_missing(config, group) else OmegaConf.select(config, group)
    return [str(one) for one in found] if isinstance(found, DictConfig) else []


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
        parsed = OverridesParser.create().parse_overrides(globbed(readable(overrides)))
    except HydraException as error:
        raise InputError(f"{explain(error)} (given: {' '.join(overrides)})") from error
    return [
        f"{o.get_key_element()}={_first(o)}" if o.is_sweep_override() else str(o.input_line)
        for o in parsed
    ]


def globbed(words: Sequence[str]) -> list[str]:
    """Words with the names that fit in place of every `glob(...)`, in Hydra's order.

    Whoever looks at the values of a sweep need not know the groups then. As a shell does, it passes
    over names with a sign in front that is not asked for: those with an underscore are no choices.

    Args:
        words: that Hydra can read, and options.

    Raises:
        InputError: nothing fits.
    """
    parser = OverridesParser.create()
    called = {word: parser.parse_override(word) for word in words if "glob(" in word}
    globs = {word: found for word, found in called.items() if isinstance(found.value(), Glob)}
    if not globs:
        return list(words)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), **BASE):
        names = {word: _named(found) for word, found in globs.items()}
    return [names.get(word, word) for word in words]


def _named(override: Override) -> str:
    """A word with the names that its glob means."""
    glob: Any = override.value()
    options = GlobalHydra.instance().config_loader().get_group_options(override.key_or_group)
    known = [name for name in options if not name.startswith("_")]
    hidden = any(pattern.startswith("_") for pattern in glob.include)
    names = glob.filter(options if hidden else known)
    if not names:
        raise InputError(
            f"{override.input_line} fits none of {', '.join(known)}"
            if known
            else f"{override.input_line}: there is no group {override.key_or_group}"
        )
    return f"{override.get_key_element()}={','.join(names)}"


def _first(override: Override) -> str:
    value = override.value()
    if isinstance(value, IntervalSweep):
        return str(value.start)
    return next(iter(override.sweep_string_iterator()))


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain values with every interpolation and every `~/` resolved.

    Raises:
        InputError: something is missing, such as the encoder that a model asks for.
    """
    _refuse_unread(cfg)
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(
            f"{explain(error)}. A model takes its encoders from encoder/speech and encoder/text: "
            "choose one of each that it needs (encoder/text=hf), and give every value marked ???"
        ) from error
    resolved = _as_mapping(at_home(plain))
    if "model" in resolved:
        resolved["model"] = with_papers(with_streams(resolved["model"]))
    return resolved


def _refuse_unread(cfg: DictConfig) -> None:
    """Refuses a key of the model that is none of a model's and that no interpolation reads.

    A model's file may have keys of its own (`step` of deberta_bilstm), so the record cannot tell.
    """
    model = cfg.get("model")
    if not isinstance(model, DictConfig):
        return
    known = {*ModelConfig.model_fields, "available"}
    if not (own := [key for key in map(str, model) if key not in known]):
        return
    known.update(_READ.findall(OmegaConf.to_yaml(cfg)))
    for key in own:
        if key not in known:
            raise InputError(f"model.{key}: there is no such key; {near(key, known)}")


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
        _refuse_bombs(text, path)
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


def _refuse_bombs(text: str, path: Path) -> None:
    """Refuses what takes far longer to read than it is long.

    A few lines of aliases to aliases stand for billions of values, and a reader of nested lists
    looks at all that are open, again for each.
    """
    depth = 0
    for event in yaml.parse(text, _PARSER):
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{path} holds YAML aliases, which no run writes; it is not read")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise damaged(path, "it is nested too deeply")


def _as_mapping(container: Any) -> dict[str, Any]:
    if not isinstance(container, dict):
        raise InputError("the configuration must be a mapping")
    return {str(key): value for key, value in container.items()}
