"""What is asked of an adapter: a word, or a record of its settings; nothing is loaded here."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from sermm.core.errors import InputError, near

KINDS: Final = ("lora",)
Adapter = Literal["lora"] | Mapping[str, Any] | None


@dataclass(frozen=True)
class Lora:
    """Low-rank adaptation: W x becomes W x + (alpha / rank) B A dropout(x); B is 0 at the start.

    Source: Hu et al. 2022, "LoRA". Rank and alpha are theirs for RoBERTa-large (table 9); twice the
    rank keeps the factor, and with it a good learning rate, when the rank is another.

    Attributes:
        rank: rows of A, columns of B.
        alpha: None: twice the rank.
        dropout: of what A reads, in training. The only one there is: the model itself stays in
            evaluation mode.
        targets: ends of the names of the linear layers that are adapted; None: the projections of
            query and value, by family.
    """

    rank: int = 8
    alpha: float | None = None
    dropout: float = 0.1
    targets: tuple[str, ...] | None = None

    @classmethod
    def of(cls, given: Adapter, key: str) -> "Lora | None":
        """Takes one from a plain value.

        Args:
            given: `lora`, a mapping of settings (`kind: lora` among them or left out), or None.
            key: of the configuration, which errors name.

        Raises:
            InputError: it is none of these, or a setting is unknown or out of its range.
        """
        if given is None:
            return None
        settings = {"kind": given} if not isinstance(given, Mapping) else dict(given)
        if (kind := settings.pop("kind", "lora")) not in KINDS:
            raise InputError(
                f"{key}={kind}: expected {' or '.join(KINDS)}, a record such as "
                "{kind: lora, rank: 16}, or null (no adapter)"
            )
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise InputError(f"{key}.{name}: there is no such setting; {near(name, known)}")
        full = asdict(cls()) | settings
        rank, targets = _rank(full, key), _targets(full, key)
        alpha, dropout = _alpha(full, key), _dropout(full, key)
        return cls(rank, 2.0 * rank if alpha is None else alpha, dropout, targets)

    @property
    def plain(self) -> dict[str, Any]:
        """All settings as they stand in YAML: two ways to say the same are one."""
        targets = None if self.targets is None else list(self.targets)
        return {"kind": "lora", **asdict(self), "targets": targets}


def _rank(settings: Mapping[str, Any], key: str) -> int:
    rank = settings["rank"]
    if type(rank) is not int or rank < 1:
        raise InputError(f"{key}.rank={rank}: expected a whole number from 1, such as 8")
    return rank


def _alpha(settings: Mapping[str, Any], key: str) -> float | None:
    alpha = settings["alpha"]
    if alpha is None:
        return None
    if not (_is_number(alpha) and 0 < alpha < math.inf):
        raise InputError(
            f"{key}.alpha={alpha}: expected a number above 0, or null (twice the rank)"
        )
    return float(alpha)


def _dropout(settings: Mapping[str, Any], key: str) -> float:
    dropout = settings["dropout"]
    if not (_is_number(dropout) and 0 <= dropout < 1):
        raise InputError(f"{key}.dropout={dropout}: expected a number from 0 to below 1")
    return float(dropout)


def _targets(settings: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    names = settings["targets"]
    if names is None:
        return None
    if not isinstance(names, list | tuple) or not names or not all(map(_is_name, names)):
        raise InputError(
            f"{key}.targets={names}: expected a list of names of linear layers, such as "
            "[q_proj,v_proj], or null (by family)"
        )
    return tuple(names)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
