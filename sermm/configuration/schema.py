"""What every record of the configuration is: frozen, of known keys, its values checked once."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from sermm.core.errors import InputError, near

Item = TypeVar("Item")
OneRecord = TypeVar("OneRecord", bound="Record")


def is_number(given: Any) -> bool:
    """Whether it is one, and not true or false."""
    return isinstance(given, int | float) and not isinstance(given, bool)


def _share(given: Any) -> Any:
    if not is_number(given) or not 0 <= given <= 1:
        raise ValueError("expected a number from 0 to 1")
    return given


def _place(given: Any) -> Any:
    if given == "":
        raise ValueError("expected a folder; the current one is `.`")
    return given


# A list of YAML, kept as a tuple.
Items = Annotated[tuple[Item, ...], Field(strict=False)]
# Lowest and highest, as they were given.
Range = Annotated[tuple[int | float, int | float], Field(strict=False)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_share)]
# Text that may look like a number: an account, a time.
Word = Annotated[str, BeforeValidator(lambda given: str(given) if is_number(given) else given)]
Place = Annotated[str, BeforeValidator(_place)]
Format = Literal["table", "json"]


class Record(BaseModel):
    """A part of the configuration; what it holds is what its fields say, and nothing else."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True
    )

    @classmethod
    def read(cls: type[OneRecord], found: Mapping[str, Any], where: str = "") -> OneRecord:
        """Takes the fields from a resolved configuration.

        Args:
            found: the configuration.
            where: its key in the whole, for messages.

        Raises:
            InputError: names every key that is missing, not known or of a wrong value.
        """
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            raise InputError(_reasons(error, cls, where)) from None


# pydantic's words in ours.
_EXPECTED = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a word (one that looks like a number needs quotes within quotes)",
    "a valid boolean": "true or false",
    "a valid tuple": "a list, such as [a,b]",
    "a valid dictionary": "a mapping, such as {a: b}",
    "greater than or equal to": "a number of at least",
    "less than or equal to": "a number of at most",
    "greater than": "a number above",
    "less than": "a number below",
}


def _reasons(error: ValidationError, kind: type[Record], where: str) -> str:
    """What is wrong with each key: its value, and what was expected or comes near."""
    found: dict[str, list[str]] = {}
    for one in error.errors():
        path = [str(part) for part in one["loc"] if not _is_alternative(str(part))]
        key = ".".join([where, *path] if where else path)
        if one["type"] == "extra_forbidden":
            hint = near(path[-1], known_keys(kind, path[:-1]))
            found.setdefault(f"{key}: there is no such key; {hint}", [])
        elif one["type"] == "missing":
            found.setdefault(f"{key} is missing: give it a value", [])
        else:
            value = "null" if one["input"] is None else one["input"]
            found.setdefault(f"{key}={value}: ", []).append(_expected(one))
    return "; ".join(
        f"{start}expected {' or '.join(dict.fromkeys(alternatives))}" if alternatives else start
        for start, alternatives in found.items()
    )


def _expected(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"]).removeprefix("expected ")
    expected = error["msg"].removeprefix("Input should be ")
    expected = expected.partition(", unable")[0].partition(" or instance of ")[0]
    if error["type"] == "literal_error":
        return expected.replace("'", "")
    for theirs, ours in _EXPECTED.items():
        expected = expected.replace(theirs, ours)
    return expected


def _is_alternative(part: str) -> bool:
    """Whether a part of a place names an alternative of a union, not a key."""
    return "[" in part or part in {"int", "float", "str", "bool", "none", "constrained-int"}


def known_keys(kind: type[Record], path: Sequence[str]) -> list[str]:
    """The keys of the record at a place below another one."""
    for part in path:
        field = kind.model_fields.get(part)
        inside = None if field is None else _record_in(field.annotation)
        if inside is None:
            return []
        kind = inside
    return list(kind.model_fields)


def _record_in(annotation: Any) -> type[Record] | None:
    """The record that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    found = (_record_in(one) for one in get_args(annotation))
    return next((one for one in found if one is not None), None)
