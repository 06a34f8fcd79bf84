"""Classes that the configuration names: by their dotted path, with the arguments they get."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pkgutil import resolve_name
from typing import Annotated, Any

from pydantic import BeforeValidator

from sermm.core.errors import InputError, first_line
from sermm.core.failures import described

TARGET = "_target_"
PARTIAL = "_partial_"
# What wraps an encoder takes it by this name.
INSIDE = "encoder"


@dataclass(frozen=True)
class Component:
    """A class or function, and what it is called with.

    Attributes:
        target: its dotted path (`_target_` of the YAML).
        arguments: by name; plain values, or further components.
        partial: what is made of it is waiting for further arguments (`_partial_`).
    """

    target: str
    arguments: Mapping[str, Any]
    partial: bool = False

    @classmethod
    def of(cls, found: Any) -> "Component":
        """Takes one from a resolved configuration, with those inside it.

        Raises:
            ValueError: no class is named.
        """
        if isinstance(found, Component):
            return found
        if not isinstance(found, Mapping) or not isinstance(found.get(TARGET), str):
            raise ValueError(f"expected a class by its path as {TARGET}, and its arguments")
        rest = {key: _inside(one) for key, one in found.items() if key not in (TARGET, PARTIAL)}
        return cls(found[TARGET], rest, bool(found.get(PARTIAL, False)))

    def as_plain(self) -> dict[str, Any]:
        """As it stands in YAML."""
        partial = {PARTIAL: True} if self.partial else {}
        arguments = _with_each(self.arguments, Component.as_plain)
        return {TARGET: self.target, **partial, **arguments}

    def __str__(self) -> str:
        """As one would call it."""
        return f"{self.class_name}({', '.join(f'{k}={one}' for k, one in self.arguments.items())})"

    @property
    def class_name(self) -> str:
        """The name of the class."""
        return self.target.rpartition(".")[2]

    @property
    def object(self) -> Any:
        """The class or function itself.

        Raises:
            InputError: there is none by this path.
        """
        try:
            return resolve_name(self.target)
        except Exception as error:
            raise InputError(
                f"{TARGET} {self.target} cannot be had ({first_line(error)}); own code must be "
                "importable. What an older sermm has made names its classes where they were: "
                "use that version, or train again"
            ) from error

    def has(self, name: str) -> bool:
        """Whether it gets this argument, be it None."""
        return name in self.arguments

    def given(self, name: str) -> Any:
        """The value of an argument; None if it has none."""
        return self.arguments.get(name)

    def with_arguments(self, **more: Any) -> "Component":
        """Itself, called with these too."""
        return replace(self, arguments={**self.arguments, **more})

    def without(self, *names: str) -> "Component":
        """Itself, called without these."""
        kept = {key: one for key, one in self.arguments.items() if key not in names}
        return replace(self, arguments=kept)

    def around(self, inside: "Component") -> "Component":
        """Itself wrapped around an encoder."""
        return self.with_arguments(**{INSIDE: inside})

    @property
    def inside(self) -> "Component | None":
        """The encoder that it is wrapped around, if it is."""
        found = self.arguments.get(INSIDE)
        return found if isinstance(found, Component) else None

    @property
    def empty(self) -> bool:
        """Whether it is wrapped around nothing: it takes an encoder, and none was chosen."""
        return INSIDE in self.arguments and self.arguments[INSIDE] is None

    @property
    def innermost(self) -> "Component":
        """The encoder itself, out of all that is wrapped around it."""
        return self if self.inside is None else self.inside.innermost

    def make(self, **more: Any) -> Any:
        """What the class makes of its arguments and these; where partial, what waits for the rest.

        Raises:
            InputError: it takes no such argument or lacks one, or its constructor refuses one.
        """
        self.refuse_unknown()
        given = _with_each(self.arguments, lambda inside: inside.make()) | more
        if self.partial and not more:
            return partial(self.object, **given)
        try:
            inspect.signature(self.object).bind(**given)
        except TypeError as error:
            raise InputError(f"{self}: {error}") from error
        try:
            return self.object(**given)
        except (InputError, OSError):
            raise
        except Exception as error:
            raise InputError(f"{self} cannot be made: {described(error)}") from error

    def refuse_unknown(self) -> None:
        """Finds arguments that nothing takes, here and inside.

        Raises:
            InputError: names one, and those that there are.
        """
        known = inspect.signature(self.object).parameters
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
            for name in self.arguments:
                if name not in known:
                    takes = ", ".join(get_close_matches(name, known) or known) or "nothing"
                    raise InputError(f"{self.target} takes no {name}; it takes {takes}")
        for inside in _components(self.arguments):
            inside.refuse_unknown()


ComponentField = Annotated[Component, BeforeValidator(Component.of)]


@dataclass(frozen=True)
class NamedComponent(Component):
    """A component with a name for people, which is one of its arguments."""

    @classmethod
    def of(cls, found: Any) -> "NamedComponent":
        """Takes one from a resolved configuration.

        Raises:
            ValueError: no class or no name is given.
        """
        one = Component.of(found)
        if not isinstance(one.arguments.get("name"), str):
            raise ValueError("expected a `name`, a word")
        return cls(one.target, one.arguments, one.partial)

    @property
    def name(self) -> str:
        """Its name for people."""
        return str(self.arguments["name"])


NamedField = Annotated[NamedComponent, BeforeValidator(NamedComponent.of)]


def _components(value: Any) -> Iterator[Component]:
    if isinstance(value, Component):
        yield value
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _components(one)


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        if TARGET in value:
            return Component.of(value)
        return {key: _inside(one) for key, one in value.items()}
    return [_inside(one) for one in value] if isinstance(value, list) else value


def _with_each(value: Any, made: Callable[[Component], Any]) -> Any:
    """A value, in lists and mappings of its own, with what is made of each component in it."""
    if isinstance(value, Component):
        return made(value)
    if isinstance(value, Mapping):
        return {key: _with_each(one, made) for key, one in value.items()}
    return [_with_each(one, made) for one in value] if isinstance(value, list) else value
