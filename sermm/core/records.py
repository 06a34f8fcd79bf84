"""Plain records: what a corpus says (`Utterance`, `Span`) and how it is divided (`Fold`)."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from sermm.core.digest import digest_ids
from sermm.core.errors import InputError

Act = Literal["improvised", "scripted"]
Level = Literal["phone", "syllable", "word"]
LEVELS: tuple[Level, ...] = get_args(Level)
# How many talkers a message names.
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Vote:
    """One rater's judgement of one utterance.

    Attributes:
        rater: the corpus's name of the rater (IEMOCAP: E1.. outside, F#/M# the actor).
        labels: the categories given, in the corpus's own words; may be several or none.
        comment: free text of the rater.
    """

    rater: str
    labels: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Dimensional ratings on the corpus's own scale (IEMOCAP: 1..5); None where not given."""

    valence: float | None = None
    activation: float | None = None
    dominance: float | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of one talker, as the corpus describes it.

    Attributes:
        id: unique within the corpus.
        corpus: name of the corpus.
        path: the audio file.
        label: emotion code (`ang hap sad neu fru exc ...`) before any protocol's mapping;
            None if the corpus gives none.
        speaker: the person who talks.
        group: what folds are made of (IEMOCAP: session "1".."5"); None if the corpus has none.
        start_s: where the utterance starts in the file, seconds; None = the file's start.
        end_s: where it ends, seconds; None = the file's end.
        transcript: what is said; None if unknown ("" means: known to be silent).
        dialogue: the conversation it belongs to.
        turn: position within the dialogue by start time, from 0.
        act: improvised or scripted.
        gender: "f" or "m".
        votes: categorical ratings.
        attributes: mean valence, activation, dominance over raters.
        rater_attributes: the same by rater.
    """

    id: str
    corpus: str
    path: Path
    label: str | None
    speaker: str
    group: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    transcript: str | None = None
    dialogue: str | None = None
    turn: int | None = None
    act: Act | None = None
    gender: str | None = None
    votes: tuple[Vote, ...] = ()
    attributes: Attributes = Attributes()
    rater_attributes: tuple[tuple[str, Attributes], ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A unit of speech within an utterance; seconds from the utterance's start, end exclusive.

    Attributes:
        source: where the times come from (corpus, mfa, ctc, pocketsphinx, whole).
    """

    symbol: str
    start_s: float
    end_s: float
    level: Level
    source: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one item of a corpus: it is counted and listed, never dropped unseen.

    Attributes:
        where: the file (with line) or the utterance id.
        what: what is wrong.
        kind: a short slug that problems are counted by, e.g. "missing_wav".
        kept: True: the utterance stays in; something about it wants a look.
    """

    where: str
    what: str
    kind: str
    kept: bool = False


@dataclass(frozen=True)
class Reading:
    """What a corpus reader found.

    Attributes:
        utterances: sorted by id.
        problems: what could not be used, and what was kept but wants a look.
        rows: how many rows (clips, turns) were read: utterances, and problems that are not kept;
            0 = unknown.
    """

    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()
    rows: int = 0


@dataclass(frozen=True)
class Fold:
    """One division into training, validation and test utterances, by id.

    Built by `Fold.checked`, which refuses what would make its numbers worthless.

    Attributes:
        number: from 1.
        train: ids, sorted; likewise `val` (may be empty) and `test`.
    """

    number: int
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the three sorted id lists."""
        return digest_ids(self.train, self.val, self.test)

    @classmethod
    def checked(
        cls,
        number: int,
        train: Collection[str],
        val: Collection[str],
        test: Collection[str],
        *,
        labels: Mapping[str, str],
        speakers: Mapping[str, str],
        classes: Collection[str],
        leaky: bool = False,
        may_lack: bool = False,
    ) -> "Fold":
        """Sorts the ids and checks the fold.

        Args:
            number: from 1.
            train: ids; likewise `val` and `test`.
            val: ids.
            test: ids.
            labels: class by id, after the protocol's mapping.
            speakers: talker by id.
            classes: the classes of the protocol.
            leaky: the protocol is named leaky, so talkers may be shared.
            may_lack: the test part need not have every class; training must, or nothing could
                learn it.

        Raises:
            InputError: parts overlap, a talker is both in train and test, or a class is absent
                from training or test.
        """
        fold = cls(number, tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)))
        fold._refuse_overlap()
        if not leaky:
            fold._refuse_shared_speakers(speakers)
        fold._refuse_absent_classes("train", labels, speakers, classes)
        fold._refuse_absent_classes("test", labels, speakers, () if may_lack else classes)
        return fold

    def _refuse_overlap(self) -> None:
        parts = {"train": self.train, "val": self.val, "test": self.test}
        for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
            if shared := sorted(set(parts[first]) & set(parts[second])):
                raise InputError(
                    f"fold {self.number}: {len(shared)} utterances are in both {first} and "
                    f"{second} (first: {shared[0]}); the fold rule must divide, not share"
                )

    def _refuse_shared_speakers(self, speakers: Mapping[str, str]) -> None:
        shared = {speakers[i] for i in self.train} & {speakers[i] for i in self.test}
        if shared:
            raise InputError(
                f"fold {self.number}: talkers {sorted(shared)} are in both train and test; use a "
                "protocol that separates talkers, or one whose name ends in _leaky"
            )

    def _refuse_absent_classes(
        self,
        name: Literal["train", "test"],
        labels: Mapping[str, str],
        speakers: Mapping[str, str],
        classes: Collection[str],
    ) -> None:
        """Refuses a part that is empty or lacks a class, and says of whom it is."""
        part = self.train if name == "train" else self.test
        absent = sorted(set(classes) - {labels[i] for i in part})
        if absent or not part:
            of_class = f" of class {', '.join(absent)}" if part else ""
            raise InputError(
                f"fold {self.number}: no {name} utterance{of_class}{_whose(part, labels, speakers)}"
            )


def _whose(ids: Collection[str], labels: Mapping[str, str], speakers: Mapping[str, str]) -> str:
    """Who says the utterances of a part, and of which classes they are."""
    if not ids:
        return ""
    talkers = sorted({speakers[i] for i in ids})
    counts = Counter(labels[i] for i in ids)
    listed = ", ".join(talkers) if len(talkers) <= _LISTED else f"{len(talkers)} talkers"
    of_each = ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
    return f"; it holds {len(ids)}, of {listed}: {of_each}"
