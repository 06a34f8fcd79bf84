"""A protocol: label scheme, subset, folds, validation. Every figure belongs to exactly one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sermm.core.errors import InputError
from sermm.core.records import Act, Fold, Utterance
from sermm.core.seeding import generator
from sermm.protocols.folds import FoldRule
from sermm.protocols.validation import ValidationRule

AbsentClasses = Literal["refuse", "allow"]


class NoSuchFoldError(InputError):
    """A protocol has fewer folds than the number asked for."""


@dataclass(frozen=True)
class Protocol:
    """How a corpus is turned into a classification task with folds.

    Attributes:
        name: as in `conf/protocol/`; ends in `_leaky` if talkers may be in train and test.
        labels: class by the corpus's emotion code; utterances of other codes are left out, and so
            are those whose class is not among `classes`.
        classes: in the order of the logits. One that no label maps to is a label of its own name.
        fold_rule: what each fold tests.
        validation_rule: what chooses the epoch; None = no validation, a fixed number of epochs.
        acts: only these, if given.
        aligned: only utterances of which the corpus itself has words and syllables with times;
            whoever has read the corpus leaves the others out.
        fixed_seed: random parts are drawn from this seed, whatever the seed of the run.
        headline: the metric to compare systems by.
        leaky: talkers may be in both train and test.
        absent_classes: of a test part: refuse it, or allow it; its UA is then the mean over the
            classes that it has.
        notes: for the report.

    Raises:
        InputError: name and leaky disagree.
    """

    name: str
    labels: Mapping[str, str]
    classes: Sequence[str]
    fold_rule: FoldRule
    validation_rule: ValidationRule | None = None
    acts: Sequence[Act] | None = None
    aligned: bool = False
    fixed_seed: int | None = None
    headline: str = "ua"
    leaky: bool = False
    absent_classes: AbsentClasses = "refuse"
    notes: str = ""

    def __post_init__(self) -> None:
        # Hydra hands over its own containers; plain ones are faster and can be hashed and sent.
        classes = tuple(self.classes)
        kept = {label: name for label, name in self.labels.items() if name in classes}
        own = {name: name for name in classes if name not in kept.values()}
        object.__setattr__(self, "labels", {**kept, **own})
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "acts", None if self.acts is None else tuple(self.acts))
        if self.leaky != self.name.endswith("_leaky"):
            raise InputError(
                f"protocol {self.name}: leaky is {self.leaky}; a protocol is leaky if and only "
                "if its name ends in _leaky"
            )

    def select(self, utterances: Sequence[Utterance]) -> tuple[Utterance, ...]:
        """The utterances that take part: a label of the scheme, and an act of the subset.

        Raises:
            InputError: there are none.
        """
        chosen = tuple(
            u
            for u in utterances
            if u.label in self.labels and (self.acts is None or u.act in self.acts)
        )
        if not chosen:
            there = ", ".join(sorted({u.label for u in utterances if u.label is not None}))
            acts = "" if self.acts is None else f" and act {', '.join(self.acts)}"
            raise InputError(
                f"protocol {self.name}: none of the {len(utterances)} utterances has a label of "
                f"{', '.join(self.labels)}{acts}; labels there: {there or 'none'}; "
                "data.labels={LABEL: CODE} maps them to those of the protocol"
            )
        return chosen

    def targets(self, utterances: Sequence[Utterance]) -> dict[str, str]:
        """Class by id of the utterances that take part."""
        return {u.id: self.labels[u.label] for u in self.select(utterances) if u.label is not None}

    def n_folds(self, utterances: Sequence[Utterance]) -> int:
        """How many folds the protocol has on these utterances."""
        return self.fold_rule.n_folds(self.select(utterances))

    def fold(self, utterances: Sequence[Utterance], number: int, seed: int) -> Fold:
        """Fold `number`, from 1; the same on every machine and in any order of the utterances.

        Raises:
            NoSuchFoldError: there is no such fold.
            InputError: it would be worthless (`Fold.checked`).
        """
        chosen = self.select(utterances)
        n_folds = self.fold_rule.n_folds(chosen)
        if not 1 <= number <= n_folds:
            raise NoSuchFoldError(
                f"fold {number} of {n_folds}: protocol {self.name} has {n_folds} on this corpus; "
                f"choose fold=1..{n_folds}"
            )
        targets = {u.id: self.labels[u.label] for u in chosen if u.label is not None}
        rng = generator(seed if self.fixed_seed is None else self.fixed_seed, self.name, number)
        division = self.fold_rule.divide(chosen, number, rng)
        rule = self.validation_rule
        val = set() if rule is None else rule.choose(division, targets, rng)
        not_trained = val | division.barred
        return Fold.checked(
            number,
            train=[u.id for u in division.rest if u.id not in not_trained],
            val=val,
            test=[u.id for u in division.test],
            labels=targets,
            speakers={u.id: u.speaker for u in chosen},
            classes=self.classes,
            leaky=self.leaky,
            may_lack=self.absent_classes == "allow",
        )

    def folds(self, utterances: Sequence[Utterance], seed: int) -> tuple[Fold, ...]:
        """All folds."""
        numbers = range(1, self.n_folds(utterances) + 1)
        return tuple(self.fold(utterances, number, seed) for number in numbers)
