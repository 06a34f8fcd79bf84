"""Fold rules: which utterances a fold tests, and which are left for training and validation."""
# ruff: noqa: ARG002 (a rule need not look at all that it is given)

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Literal

import numpy as np

from sermm.core.errors import InputError, expect_one_of
from sermm.core.records import Utterance
from sermm.core.transcripts import normalise

Rounding = Literal["down", "up"]
Shared = Literal["line", "dialogue"]


@dataclass(frozen=True)
class Division:
    """What a fold rule decides about one fold.

    Attributes:
        test: the utterances that the fold tests.
        rest: all others; the validation part is taken out of them.
        following: the other blocks in the order of the folds that test them, the next fold's first
            (after the last comes the first); empty if the rule knows no order.
        barred: ids of `rest` that must not be trained on.
    """

    test: tuple[Utterance, ...]
    rest: tuple[Utterance, ...]
    following: tuple[tuple[Utterance, ...], ...] = ()
    barred: frozenset[str] = frozenset()


def natural(name: str) -> tuple[bool, int, str]:
    """Sort key: numbers by value, before names."""
    number = name.isascii() and name.isdigit()
    return not number, int(name) if number else 0, name


def part_size(n: int, share: float, rounding: Rounding = "down") -> int:
    """How many of n utterances make up a share, computed exactly (0.1 of 30 is 3)."""
    exact = Fraction(str(share)) * n
    return floor(exact) if rounding == "down" else ceil(exact)


def expect_share(given: float) -> None:
    """Refuses what is no share of the utterances.

    Raises:
        InputError: it is no number between 0 and 1.
    """
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1:
        raise InputError(f"protocol: share={given}: expected a number between 0 and 1")


def draw(ids: Iterable[str], size: int, rng: np.random.Generator) -> set[str]:
    """Draws `size` ids at random, whatever the order they come in.

    Every id, in sorted order, gets the next 64 bits of the generator as its rank: NumPy promises
    this stream for all versions, which it does not for `permutation` or `choice`.
    """
    ordered = sorted(ids)
    ranks = np.atleast_1d(rng.bit_generator.random_raw(len(ordered)))
    return {ordered[i] for i in np.argsort(ranks, kind="stable")[:size]}


def grouped(
    utterances: Sequence[Utterance], key: Callable[[Utterance], str]
) -> dict[str, tuple[Utterance, ...]]:
    """The utterances by key, keys in natural order."""
    parts: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        parts.setdefault(key(utterance), []).append(utterance)
    return {name: tuple(parts[name]) for name in sorted(parts, key=natural)}


def group_of(utterance: Utterance) -> str:
    """The group that folds are made of.

    Raises:
        InputError: the corpus has none.
    """
    if utterance.group is None:
        raise InputError(
            f"utterance {utterance.id} of corpus {utterance.corpus} has no group (session), but "
            "this protocol divides by group"
        )
    return utterance.group


class FoldRule(ABC):
    """Divides utterances into folds, which count from 1."""

    @abstractmethod
    def n_folds(self, utterances: Sequence[Utterance]) -> int:
        """How many folds these utterances give."""

    @abstractmethod
    def divide(
        self, utterances: Sequence[Utterance], number: int, rng: np.random.Generator
    ) -> Division:
        """Fold `number`, from 1 to `n_folds`.

        Raises:
            InputError: the utterances cannot be divided by this rule.
        """


class Rotating(FoldRule):
    """Each fold tests one block of utterances, in order."""

    @abstractmethod
    def blocks(self, utterances: Sequence[Utterance]) -> list[tuple[Utterance, ...]]:
        """The blocks in the order of the folds that test them."""

    def n_folds(self, utterances: Sequence[Utterance]) -> int:
        """One fold a block."""
        return len(self.blocks(utterances))

    def divide(
        self, utterances: Sequence[Utterance], number: int, rng: np.random.Generator
    ) -> Division:
        """Fold i tests block i."""
        blocks = self.blocks(utterances)
        if len(blocks) < 2:
            raise InputError(
                "leaving one part out needs at least two parts (sessions or talkers), but these "
                f"{len(utterances)} utterances have {len(blocks)}"
            )
        test = blocks[number - 1]
        rest = tuple(u for block in blocks if block is not test for u in block)
        return Division(test, rest, following=(*blocks[number:], *blocks[: number - 1]))


class LeaveOneGroupOut(Rotating):
    """Fold i tests the i-th group (IEMOCAP: session) of those that are there."""

    def blocks(self, utterances: Sequence[Utterance]) -> list[tuple[Utterance, ...]]:
        """One block a group; numbers by value."""
        return list(grouped(utterances, group_of).values())


class LeaveOneTalkerOut(Rotating):
    """Fold i tests the i-th talker, sorted by id."""

    def blocks(self, utterances: Sequence[Utterance]) -> list[tuple[Utterance, ...]]:
        """One block a talker."""
        return list(grouped(utterances, lambda u: u.speaker).values())


@dataclass(frozen=True)
class TalkerGroups(Rotating):
    """Fold i tests the i-th of n groups of talkers.

    Talkers are sorted by id and dealt out in consecutive runs whose sizes differ by at most one,
    the larger first (24 talkers in 5 groups: 5, 5, 5, 5, 4).
    """

    n: int = 5

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 2:
            raise InputError(
                f"protocol.fold_rule.n={self.n}: expected a number of groups, 2 or more"
            )

    def blocks(self, utterances: Sequence[Utterance]) -> list[tuple[Utterance, ...]]:
        """One block a group of talkers."""
        talkers = list(grouped(utterances, lambda u: u.speaker).values())
        if len(talkers) < self.n:
            raise InputError(
                f"{self.n} groups of talkers need at least {self.n} talkers, but there are "
                f"{len(talkers)}"
            )
        size, larger = divmod(len(talkers), self.n)
        ends = [(i + 1) * size + min(i + 1, larger) for i in range(self.n)]
        runs = [talkers[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        return [tuple(u for talker in run for u in talker) for run in runs]


@dataclass(frozen=True)
class FixedTestGroup(FoldRule):
    """One fold, which tests one group."""

    group: str

    def n_folds(self, utterances: Sequence[Utterance]) -> int:
        """One."""
        return 1

    def divide(
        self, utterances: Sequence[Utterance], number: int, rng: np.random.Generator
    ) -> Division:
        """The group against all others."""
        test = tuple(u for u in utterances if group_of(u) == self.group)
        if not test:
            there = ", ".join(grouped(utterances, group_of))
            raise InputError(
                f"the test group of this protocol is {self.group}, but the corpus has {there}"
            )
        return Division(test, tuple(u for u in utterances if u.group != self.group))


@dataclass(frozen=True)
class RandomTest(FoldRule):
    """One fold, which tests a random share of the utterances: talkers are in both parts."""

    share: float

    def __post_init__(self) -> None:
        expect_share(self.share)

    def n_folds(self, utterances: Sequence[Utterance]) -> int:
        """One."""
        return 1

    def divide(
        self, utterances: Sequence[Utterance], number: int, rng: np.random.Generator
    ) -> Division:
        """The share, rounded down, against the rest."""
        size = part_size(len(utterances), self.share)
        chosen = draw((u.id for u in utterances), size, rng)
        return Division(
            tuple(u for u in utterances if u.id in chosen),
            tuple(u for u in utterances if u.id not in chosen),
        )


@dataclass(frozen=True)
class OverRule(FoldRule):
    """Another rule's folds, less what they share with the test part."""

    rule: FoldRule

    def n_folds(self, utterances: Sequence[Utterance]) -> int:
        """As many as the other rule."""
        return self.rule.n_folds(utterances)


@dataclass(frozen=True)
class LineDisjoint(OverRule):
    """Another rule, with the lines of the test fold taken out of training.

    Scripts recur in all sessions of IEMOCAP. A scripted utterance is barred from training if its
    normalised transcript occurs in the test part; it may still validate. Transcripts without a
    word (tags only) are no lines.
    """

    def divide(
        self, utterances: Sequence[Utterance], number: int, rng: np.random.Generator
    ) -> Division:
        """The other rule's fold, with shared scripted lines barred."""
        division = self.rule.divide(utterances, number, rng)
        barred = division.barred | _saying_its_lines(division)
        return Division(division.test, division.rest, division.following, barred)


@dataclass(frozen=True)
class DisjointFromTest(OverRule):
    """Another rule, with all that shares lines or dialogues with the test part left out.

    Such utterances neither train nor validate, nor does any other part get them. Of the blocks that
    may validate, those of which nothing is left are passed over: where a dialogue's other talker
    would come next, the talker after that does.

    Attributes:
        rule: makes the folds.
        shared: what must not be shared: `line` as in `LineDisjoint`, or `dialogue`.
    """

    shared: Shared

    def __post_init__(self) -> None:
        expect_one_of("protocol.fold_rule.shared", self.shared, Shared)

    def divide(
        self, utterances: Sequence[Utterance], number: int, rng: np.random.Generator
    ) -> Division:
        """The other rule's fold, its rest without what it shares with the test part."""
        division = self.rule.divide(utterances, number, rng)
        if self.shared == "line":
            shares = _saying_its_lines(division)
        else:
            dialogues = {u.dialogue for u in division.test} - {None}
            shares = frozenset(u.id for u in division.rest if u.dialogue in dialogues)
        blocks = [tuple(u for u in one if u.id not in shares) for one in division.following]
        return Division(
            division.test,
            tuple(u for u in division.rest if u.id not in shares),
            tuple(block for block in blocks if block),
            division.barred - shares,
        )


def _saying_its_lines(division: Division) -> frozenset[str]:
    """The scripted utterances of the rest that say, normalised, what the test part says too.

    Transcripts without a word are no lines.
    """
    lines = {normalise(u.transcript) for u in division.test} - {""}
    return frozenset(
        u.id for u in division.rest if u.act == "scripted" and normalise(u.transcript) in lines
    )
