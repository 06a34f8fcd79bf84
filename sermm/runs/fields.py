"""Records out of parsed JSON: fields with the types that their dataclass declares.

The run folder's records are plain dataclasses. Written they are JSON; read again, what stands in a
file need not be what this version writes: it may be older, damaged, or edited by hand. Here a value
gets into a record only with the declared type, so that nobody further up looks twice.

Known are str, int, float, bool, None, Any, unions of one of these with None, `dict[str, ...]`,
`tuple[..., ...]`, `list[...]` and dataclasses of them. A field that is absent takes its default;
one that nobody declared is ignored, so that a file with more in it can still be read. The reader of
a dataclass is put together once and kept: a study has tens of thousands of files.
"""

import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sermm.core.errors import InputError

T = TypeVar("T")
# A value as it is in JSON, and its name for messages, to the value as it is in a record.
_Reader = Callable[[Any, str], Any]
_SCALARS: dict[Any, tuple[type, ...]] = {
    str: (str,), int: (int,), bool: (bool,), float: (float, int), NoneType: (NoneType,),
}  # fmt: skip


def record(kind: type[T], found: Any, where: str) -> T:
    """A dataclass out of a JSON object.

    Args:
        kind: the dataclass.
        found: what was parsed.
        where: what the object is, for messages: most often the path of its file.

    Returns:
        The record; dataclasses within are made too, and lists become tuples where declared so.

    Raises:
        InputError: it is no object, or a field is missing or is of another type.
        KeyError: a field is declared with a type that is not among those above.
    """
    made: T = _cached_reader(kind)(found, where)
    return made


def _reader(kind: Any) -> _Reader:
    """What reads a value of a type; recursive, once for each type and not for each value."""
    if kind is Any:
        return lambda value, name: value  # noqa: ARG005
    if get_origin(kind) in (Union, UnionType):
        return _union(get_args(kind))
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind)
    if get_origin(kind) is dict:
        return _mapping(get_args(kind)[1])
    if get_origin(kind) in (tuple, list):
        return _sequence(get_origin(kind), get_args(kind)[0])
    return _scalar(kind)


# `_reader` calls itself for what lies within; only whole records are worth keeping.
_cached_reader: Callable[[Any], _Reader] = cache(_reader)


def _scalar(kind: Any) -> _Reader:
    """Takes a value of exactly this type; for float, int too."""
    kinds, convert = _SCALARS[kind], float if kind is float else None

    def read(value: Any, name: str) -> Any:
        # not isinstance: JSON's true is no number
        if type(value) not in kinds:
            raise _wrong(name, value, kind.__name__)
        if convert is None:
            return value
        # JSON may hold 74 for 74.0; Python reads NaN and 1e999 too, which nobody writes
        if not abs(value) <= sys.float_info.max:
            raise _wrong(name, value, "a finite number")
        return convert(value)

    return read


def _union(kinds: tuple[Any, ...]) -> _Reader:
    """Of one type and None; nothing else is declared in a run folder."""
    (other,) = (kind for kind in kinds if kind is not NoneType)
    inner = _reader(other)
    return lambda value, name: None if value is None else inner(value, name)


def _mapping(kind: Any) -> _Reader:
    """Keys are strings, as JSON has no others; values of `Any` are not copied."""
    inner = None if kind is Any else _reader(kind)

    def read(value: Any, name: str) -> Any:
        if type(value) is not dict:
            raise _wrong(name, value, "an object")
        if inner is None:
            return value
        return {key: inner(one, name) for key, one in value.items()}

    return read


def _sequence(make: Any, kind: Any) -> _Reader:
    inner = _reader(kind)

    def read(value: Any, name: str) -> Any:
        if type(value) is not list:
            raise _wrong(name, value, "a list")
        return make(inner(one, name) for one in value)

    return read


def _dataclass(kind: type[Any]) -> _Reader:
    """Its fields by their names, and each value's path in the message."""
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    needed = {field.name for field in fields(kind) if not _has_default(field)}

    def read(value: Any, name: str) -> Any:
        if type(value) is not dict:
            raise InputError(f"{name} holds a {type(value).__name__}, expected an object")
        if not needed <= value.keys():
            absent = ", ".join(one for one in readers if one in needed - value.keys())
            raise InputError(f"{name} has no {absent}")
        return kind(
            **{one: reader(value[one], f"{name}: {one}") for one, reader in readers.items()
               if one in value}
        )  # fmt: skip

    return read


def _has_default(field: "Field[Any]") -> bool:
    """Whether a file may be without it."""
    return field.default is not MISSING or field.default_factory is not MISSING


def _wrong(name: str, value: Any, expected: str) -> InputError:
    return InputError(f"{name} is {value!r}, of the wrong type: expected {expected}")
