"""What the configuration of every verb shares: composed from words, and read once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from omegaconf import DictConfig
from pydantic import PrivateAttr

from sermm.configuration.compose import as_yaml, compose, read_yaml, resolved
from sermm.configuration.schema import Record
from sermm.core.damage import damaged
from sermm.core.errors import InputError

OneConfig = TypeVar("OneConfig", bound="Composed")


class Composed(Record):
    """What a verb is told, built once where its words are composed.

    Attributes:
        primary: the file of `conf/` that it is composed from.
    """

    primary: ClassVar[str]
    _plain: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls: type[OneConfig], found: Mapping[str, Any], where: str = "") -> OneConfig:
        """Takes the fields, and keeps the mapping that they come from.

        Raises:
            InputError: names every key that is missing, not known or of a wrong value.
        """
        config = super().read(found, where)
        config._plain = dict(found)
        return config

    @classmethod
    def of(cls: type[OneConfig], words: Sequence[str]) -> OneConfig:
        """The configuration that these words give.

        Raises:
            InputError: a key or a value is wrong.
        """
        return cls.read(resolved(compose(cls.primary, words)))

    @classmethod
    def from_hydra(cls: type[OneConfig], cfg: DictConfig) -> OneConfig:
        """What Hydra has composed.

        Raises:
            InputError: a key or a value is wrong.
        """
        return cls.read(resolved(cfg))

    def as_yaml(self) -> str:
        """As `config.yaml` of a run keeps it."""
        return as_yaml(self._plain)

    @classmethod
    def load(cls: type[OneConfig], path: Path) -> OneConfig:
        """Reads back what `as_yaml` gave.

        Raises:
            InputError: there is no such file, or it is damaged.
        """
        found = read_yaml(path)
        try:
            return cls.read(found)
        except InputError as error:
            first, *more = str(error).split("; ")
            rest = f", and {len(more)} more" if more else ""
            raise damaged(path, f"{first}{rest}" if found else "it is empty") from error

    @property
    def plain(self) -> Mapping[str, Any]:
        """The mapping that it was read from: for keys, files, and nothing else."""
        return self._plain

    def changed(self: OneConfig, values: Mapping[str, Any]) -> OneConfig:
        """With other values, by dotted key; a key that is not there yet may be given too.

        Raises:
            InputError: a value is wrong.
        """
        plain = self._plain
        for key, value in values.items():
            plain = _replaced(plain, key.split("."), value)
        return type(self).read(plain)


def _replaced(plain: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    return {**plain, first: _replaced(plain[first], rest, value) if rest else value}
