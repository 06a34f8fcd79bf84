"""Arguments of the verbs: positional words first, then `key=value`."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sermm.core.errors import InputError, near
from sermm.core.files import exists

KEY = re.compile(r"^[~+]{0,2}[\w./@-]*?\w=", re.ASCII)


def parse(
    arguments: Sequence[str], known: Mapping[str, str | None], usage: str
) -> tuple[list[str], dict[str, str | None]]:
    """Divides arguments into positional words and the values of known keys.

    Args:
        arguments: as typed.
        known: keys with their defaults.
        usage: one line that shows the right use, for the error.

    Returns:
        The positional words, and a value for every known key.

    Raises:
        InputError: a key is not known.
    """
    words, own, others = parse_own(arguments, known, usage)
    if others:
        keys = [other.split("=", 1)[0] for other in others]
        hints = "; ".join(f"unknown key {key}: {near(key, known)}" for key in keys)
        raise InputError(f"{hints}. Usage: {usage}")
    return words, own


def parse_own(
    arguments: Sequence[str], known: Mapping[str, str | None], usage: str
) -> tuple[list[str], dict[str, str | None], list[str]]:
    """Divides arguments into positional words, the verb's own keys, and overrides for Hydra.

    A word that is an existing file is positional even if its name holds `=`.

    Raises:
        InputError: an option with a dash, which no verb but `train` has, or a key of its own twice.
    """
    if dashed := [a for a in arguments if a.startswith("-")]:
        raise InputError(f"unknown option {dashed[0]}. Usage: {usage}")
    words, own, others, given = [], dict(known), [], set[str]()
    for argument in arguments:
        if not KEY.match(argument) or exists(Path(argument)):
            words.append(argument)
            continue
        key, value = argument.split("=", 1)
        if key in given:
            raise InputError(f"{key} is given twice, {own[key]!r} and {value!r}. Usage: {usage}")
        if key in known:
            given.add(key)
            # A shell leaves it alone after an equals sign.
            own[key] = str(Path(value).expanduser()) if value.startswith("~/") else value
        else:
            others.append(argument)
    return words, own, others


def flag(value: str | None, key: str) -> bool:
    """Reads true or false.

    Raises:
        InputError: it is neither.
    """
    if value not in {"true", "false"}:
        raise InputError(f"{key} must be true or false, got {value!r}")
    return value == "true"


def choice(value: str | None, key: str, among: Sequence[str]) -> str:
    """Reads one of several words.

    Raises:
        InputError: it is none of them.
    """
    if value is None or value not in among:
        raise InputError(f"{key} must be {' or '.join(among)}, got {value!r}")
    return value


def runs_folder(value: str | None) -> Path:
    """Where studies are: `runs_dir=`, else SERMM_RUNS, else `runs`."""
    return Path(value or os.environ.get("SERMM_RUNS") or "runs").expanduser()
