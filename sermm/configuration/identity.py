"""What of a configuration identifies a run, and what of it tells its row from others."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sermm.configuration.component import TARGET
from sermm.configuration.verbs import RunConfig, levels_of
from sermm.core.digest import digest
from sermm.encoders.adapter import Lora

OWN_PACKAGE: Final = "sermm"
# What cannot change a run's result, and so does not enter its key.
NOT_IDENTITY = (
    "study",
    "runs_dir",
    "cache_dir",
    "logger",
    "data.root",
    "data.manifest",
    "data.delimiter",
    "data.partial",
    "text.allow_empty",
    "features.checkpointing",
    "align.mfa_dir",
    "model.published",
    "model.papers",
    "model.variant",
    "model.variants",
    "model.curves",
    "model.notes",
    # Where the system and its encoders have what is chosen of them.
    "model.steps",
    "texts",
    "combine",
    "streams_by_model",
    "by_model",
    # What an experiment calls a run.
    "step",
    "protocol.notes",
    "trainer.accelerator",
    "trainer.num_workers",
    "trainer.keep_audio_mb",
)
# Settings that keys are older than, each with the value at which it is no part of them.
_AS_BEFORE: Final = {
    "protocol.absent_classes": "refuse",
    "withhold_test": False,
    "augment.stretch": None,
    "trainer.batching": "similar",
    "trainer.test_epoch": "best",
    "model.learning.adapter_lr": 5e-4,
}
# Likewise arguments of classes, by the name that a class has in a key.
_ARGUMENTS_AS_BEFORE: Final[dict[str, dict[str, Any]]] = {
    "HFSpeechEncoder": {"layerdrop": None, "context": None, "adapter": None},
    "HFTextEncoder": {"adapter": None, "pool": None},
    "DemoSpeechEncoder": {"adapter": None},
    "DemoTextEncoder": {"adapter": None},
    "SingleGate": {"norm": True},
    "CmGI": {"norm": True},
}
# The argument of encoders that may be said in several ways.
_ADAPTER: Final = "adapter"
_NOT_A_SETTING: Final = {"fold", "seed", "study", "model", "data", "protocol", "experiment"}
_ESCAPED: Final = re.compile(r"\\([\\()\[\]{}:=, \t])")
# What of the teacher can change a result: where its folder is does not.
TEACHER_KEYS: Final = ("key", "split_digest")
# What of the features can change one; which of their layers are trained, the encoders say.
FEATURE_KEYS: Final = ("mode", "dtype", "precision", "normalise")


def identity(config: RunConfig) -> dict[str, Any]:
    """What of a configuration can change the result of a run.

    The unused encoders fall away, and devices, batch and accumulation enter as one product. Where
    classes and the cache lie does not count: see `without_places`.
    """
    plain = config.plain
    left_out = {"encoder"} if levels_of(plain["model"]) else {"encoder", "align"}
    if config.teacher is None:
        left_out |= {"teacher", "distillation"}
    kept = {key: value for key, value in plain.items() if key not in left_out}
    if (teacher := config.taught_by) is not None:
        kept["teacher"] = {key: getattr(teacher, key) for key in TEACHER_KEYS}
    kept["features"] = feature_options(config)
    kept["trainer"] = _effective(config)
    as_before = [key for key, value in _AS_BEFORE.items() if _value(plain, key) == value]
    for key in (*NOT_IDENTITY, *as_before):
        kept = _without(kept, key.split("."))
    found: dict[str, Any] = without_places(_without_later(kept), config.cache_dir)
    return found


def _effective(config: RunConfig) -> dict[str, Any]:
    """The trainer's settings with the effective batch in place of what makes it."""
    trainer = config.trainer
    parts = trainer.devices * trainer.accumulate
    given = (("batch_size", trainer.batch_size), ("batch_seconds", trainer.batch_seconds))
    batch = {key: None if one is None else one * parts for key, one in given}
    kept = {**config.plain["trainer"], **batch}
    return {key: one for key, one in kept.items() if key not in ("devices", "accumulate")}


def _value(config: Any, key: str) -> Any:
    """The value at a dotted key; None where there is none."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def _without(config: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {key: value for key, value in config.items() if key != first}
    inside = config.get(first)
    return {**config, first: _without(inside, rest)} if isinstance(inside, dict) else config


def _without_later(config: Any) -> Any:
    """A configuration without the arguments that keys are older than, where they change nothing."""
    if isinstance(config, Mapping):
        later = _ARGUMENTS_AS_BEFORE.get(class_name(str(config.get(TARGET))), {})
        return {
            key: _in_full(value) if key == _ADAPTER else _without_later(value)
            for key, value in config.items()
            if key not in later or later[key] != value
        }
    return [_without_later(value) for value in config] if isinstance(config, list) else config


def _in_full(adapter: Any) -> dict[str, Any] | None:
    """An adapter with all its settings: `lora` and `{rank: 8}` are one run."""
    found = Lora.of(adapter, _ADAPTER)
    return None if found is None else found.plain


def without_places(config: Any, cache_dir: str) -> Any:
    """A configuration without the places of what it names, for keys that outlive a move.

    A class of sermm is called by its own name, one of another package by the package's and its own
    (`torch.AdamW`), whatever module holds it; what lies in the cache is called by its place there.
    """
    if isinstance(config, Mapping):
        return {
            key: class_name(value) if key == TARGET else without_places(value, cache_dir)
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


def feature_options(config: RunConfig) -> dict[str, Any]:
    """How the features are come by, as far as it can change a result."""
    given = config.features
    options = {key: getattr(given, key) for key in FEATURE_KEYS}
    options["normalise"] = given.normalise.plain
    return {key: one for key, one in options.items() if one is not None}


def run_key(config: RunConfig) -> str:
    """Names the run folder: 16 hexadecimal digits of the identity's digest."""
    return digest(identity(config))[:16]


def system_key(config: RunConfig) -> str:
    """The same without fold and seed: runs that share it are one row of a table.

    Each fold has a teacher of its own, of which the system counts and, if another, the seed.
    """
    kept = {key: one for key, one in identity(config).items() if key not in {"fold", "seed"}}
    if (teacher := config.taught_by) is not None:
        seed = None if teacher.seed == config.seed else teacher.seed
        kept["teacher"] = {"system": teacher.system, "seed": seed}
    return digest(kept)[:16]


def experiment(overrides: Sequence[str]) -> str | None:
    """The experiment that a run is of, as its words name it."""
    words = (word.lstrip("+").partition("=") for word in overrides)
    return next((name for key, _, name in words if key == "experiment"), None)


def settings(overrides: Sequence[str]) -> dict[str, str]:
    """The user's own overrides, less those that say where, which fold and which seed."""
    # What the teacher is says the record, however it was named.
    skip, whole = {*_NOT_A_SETTING, "teacher"}, tuple(f"{key}." for key in NOT_IDENTITY)
    pairs = [o.split("=", 1) for o in overrides if "=" in o and not o.startswith("hydra")]
    typed = {key.lstrip("+"): value for key, value in pairs}
    # `logger.project` goes with `logger`.
    kept = {
        key: value
        for key, value in typed.items()
        if key not in skip and not f"{key}.".startswith(whole)
    }
    # A sweep's jobs get their words with Hydra's escapes: asr\\:name.
    return {key: _ESCAPED.sub(r"\1", value) for key, value in kept.items()}
