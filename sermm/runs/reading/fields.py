"""Fields of parsed JSON, with their types checked."""

from collections.abc import Mapping
from typing import Any

Types = Mapping[str, tuple[type, ...]]


def typed(found: Any, types: Types, where: str) -> dict[str, Any]:
    """The named fields of a JSON object.

    Args:
        found: what was parsed.
        types: by field, what it may be.
        where: what the object is, for messages.

    Raises:
        ValueError: it is no object, or a field is missing or is of another type.
    """
    if not isinstance(found, dict):
        raise ValueError(f"{where} holds a {type(found).__name__}, expected an object")
    if missing := [name for name in types if name not in found]:
        raise ValueError(f"{where} has no {', '.join(missing)}")
    for name, kinds in types.items():
        if not isinstance(found[name], kinds):
            raise ValueError(f"{where}: {name} is {found[name]!r}, of the wrong type")
    return {name: found[name] for name in types}
