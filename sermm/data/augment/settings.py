"""Reads the settings of one kind of variation; wrong values are named with their key."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sermm.core.errors import InputError


@dataclass(frozen=True)
class VariationSettings:
    """The settings of one kind of variation.

    Attributes:
        kind: its key in the group `augment`.
        given: its values by name.
    """

    kind: str
    given: Mapping[str, Any]

    def expect(self, names: Collection[str]) -> None:
        """Refuses settings with other names than these.

        Raises:
            InputError: one is missing or not known.
        """
        if set(self.given) != set(names):
            raise InputError(
                f"augment.{self.kind} has {', '.join(self.given) or 'nothing'}: expected "
                f"{', '.join(names)}, as in conf/augment"
            )

    @property
    def p(self) -> float:
        """How likely a clip is varied.

        Raises:
            InputError: it is no probability.
        """
        value = self.given["p"]
        if not _is_number(value) or not 0 <= value <= 1:
            raise self.refusal("p", "a number from 0 to 1")
        return float(value)

    def count(self, name: str) -> int:
        """A whole number from 1.

        Raises:
            InputError: it is none.
        """
        value = self.given[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.refusal(name, "a whole number from 1")
        return value

    def pair(self, name: str, least: float, most: float) -> tuple[float, float]:
        """The two ends of a range.

        Raises:
            InputError: they are not two numbers in order, or lie outside.
        """
        value = self.given[name]
        ordered = (
            isinstance(value, list | tuple)
            and len(value) == 2
            and all(_is_number(one) for one in value)
            and least <= value[0] <= value[1] <= most
        )
        if not ordered:
            raise self.refusal(name, f"[lowest, highest] within {least:g} to {most:g}")
        return float(value[0]), float(value[1])

    def refusal(self, name: str, expected: str) -> InputError:
        """The error that names a setting and what was expected of it."""
        return InputError(f"augment.{self.kind}.{name}={self.given[name]}: expected {expected}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
