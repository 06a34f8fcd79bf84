"""Which classes the configuration of a finished run may name: the folder may be a stranger's.

`config.yaml` says by dotted paths what is made of it, and any function that Python can import could
be named there. So before the first name is looked up, all of them are checked, wherever in the file
they stand: classes of those rooms whose classes a configuration makes, torch's optimisers, and what
the user trusts besides. Weights are read as tensors only (`sermm.engine.assembly.build`).
"""

import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sermm.configuration.component import PARTIAL, TARGET, Component
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.encoders.segments import at_level

VARIABLE: Final = "SERMM_TRUST"
# Rooms whose classes are made of configurations: nothing that they do when made executes a file.
ROOMS: Final = (
    "sermm.corpora.",
    "sermm.demo.encoders",
    "sermm.demo.reader",
    "sermm.encoders.",
    "sermm.models.",
    "sermm.protocols.",
    "sermm.tracking.",
)
_OWN: Final = re.compile(r"sermm(\.[a-z]\w*)+\.[A-Za-z]\w*", re.ASCII)
_OPTIMISER: Final = re.compile(r"torch\.optim\.[A-Z]\w*", re.ASCII)


def trusted_packages(words: str | None) -> tuple[str, ...]:
    """The packages of `trust=a,b`, and those of $SERMM_TRUST."""
    given = ",".join([words or "", os.environ.get(VARIABLE) or ""])
    return tuple(name.strip() for name in given.split(",") if name.strip())


def refuse_untrusted(config: RunConfig, trusted: Sequence[str]) -> None:
    """Finds what a configuration must not name; looks nothing up before it has passed.

    Args:
        config: of a run folder.
        trusted: packages whose classes it may name besides.

    Raises:
        InputError: names the key, and what to do if the class is one's own.
    """
    for key, name, value in _entries("", config.plain):
        if isinstance(value, str) and "${" in value:
            raise InputError(f"{key} holds an interpolation, {value!r}, which no run writes")
        if name.startswith("_") and name not in (TARGET, PARTIAL):
            raise InputError(f"{key}: {name} is Hydra's own and not for the folder of a run")
        if name == TARGET and not _is_allowed(value, trusted):
            package = str(value).partition(".")[0]
            raise InputError(
                f"{key} names {value}, which no run of sermm is made of. The folder "
                "may be a stranger's, so it is not looked up; if it is your own code, say so: "
                f"trust={package}, or {VARIABLE}={package}"
            )


def _entries(key: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    """Every value of a configuration with its dotted key and the last part of that."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            path = f"{key}.{name}" if key else str(name)
            yield path, str(name), one
            yield from _entries(path, one)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield f"{key}.{number}", str(number), one
            yield from _entries(f"{key}.{number}", one)


def _is_allowed(target: Any, trusted: Sequence[str]) -> bool:
    if not isinstance(target, str):
        return False
    if any(target.startswith(f"{package}.") for package in trusted):
        return True
    if _OPTIMISER.fullmatch(target):
        return True
    # Only now: importing a module of ours runs nothing of the folder.
    return bool(_OWN.fullmatch(target)) and _is_made_by_runs(Component(target, {}).object)


def _is_made_by_runs(found: Any) -> bool:
    """Whether a class is defined in one of the rooms, whatever the path that named it."""
    if found is at_level:
        return True
    return inspect.isclass(found) and found.__module__.startswith(ROOMS)
