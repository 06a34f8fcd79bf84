"""Validation rules: which utterances outside the test part choose the epoch."""
# ruff: noqa: ARG002 (a rule need not look at all that it is given)

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sermm.core.errors import InputError, expect_one_of
from sermm.protocols.folds import (
    Division,
    Rounding,
    draw,
    expect_share,
    group_of,
    grouped,
    part_size,
)


class ValidationRule(ABC):
    """Takes the validation part out of what the test part leaves."""

    @abstractmethod
    def choose(
        self, division: Division, targets: Mapping[str, str], rng: np.random.Generator
    ) -> set[str]:
        """Ids of the validation part.

        Args:
            division: the fold before validation is taken out.
            targets: class by id.
            rng: the stream of this protocol, fold and seed.

        Raises:
            InputError: the rule finds nothing, or leaves nothing to train on.
        """


class NextFold(ValidationRule):
    """What the next fold tests: test i, validate on i + 1 (after the last comes the first)."""

    def choose(
        self, division: Division, targets: Mapping[str, str], rng: np.random.Generator
    ) -> set[str]:
        """The whole following block."""
        if not division.following:
            raise InputError(
                "validating on what the next fold tests takes a fold rule that goes through all "
                "parts in turn, and the one of this protocol does not"
            )
        return _rotated({u.id for u in division.following[0]}, division)


class NextGroup(ValidationRule):
    """All talkers of the group (session) after the one that is tested."""

    def choose(
        self, division: Division, targets: Mapping[str, str], rng: np.random.Generator
    ) -> set[str]:
        """The whole next group of those that are there."""
        names = list(grouped([*division.test, *division.rest], group_of))
        tested = names.index(group_of(division.test[0]))
        following = names[(tested + 1) % len(names)]
        return _rotated({u.id for u in division.rest if u.group == following}, division)


def _rotated(ids: set[str], division: Division) -> set[str]:
    if len(ids) in (0, len(division.rest)):
        raise InputError(
            "testing one part, validating on the next and training on others needs at least "
            "three parts (sessions or talkers)"
        )
    return ids


@dataclass(frozen=True)
class RandomShare(ValidationRule):
    """A random share of the training utterances, drawn from the seed.

    Attributes:
        share: 0..1.
        rounding: of the size; scikit-learn's `train_test_split`, which some papers used, rounds
            up.
    """

    share: float
    rounding: Rounding = "down"

    def __post_init__(self) -> None:
        expect_share(self.share)
        expect_one_of("protocol.validation_rule.rounding", self.rounding, Rounding)

    def choose(
        self, division: Division, targets: Mapping[str, str], rng: np.random.Generator
    ) -> set[str]:
        """The share of all."""
        size = part_size(len(division.rest), self.share, self.rounding)
        return _some(draw((u.id for u in division.rest), size, rng), self.share, division)


@dataclass(frozen=True)
class StratifiedShare(ValidationRule):
    """The same random share of every class, each rounded down.

    Attributes:
        share: 0..1.
    """

    share: float

    def __post_init__(self) -> None:
        expect_share(self.share)

    def choose(
        self, division: Division, targets: Mapping[str, str], rng: np.random.Generator
    ) -> set[str]:
        """The share of each class, classes in sorted order."""
        chosen: set[str] = set()
        for members in grouped(division.rest, lambda u: targets[u.id]).values():
            size = part_size(len(members), self.share)
            chosen |= draw((u.id for u in members), size, rng)
        return _some(chosen, self.share, division)


def _some(ids: set[str], share: float, division: Division) -> set[str]:
    if not ids:
        raise InputError(
            f"a share of {share} of {len(division.rest)} training utterances is less than one "
            "utterance"
        )
    return ids
