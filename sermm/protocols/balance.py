"""Where the rows of a corpus are: each is counted once, whoever has left it out."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sermm.core.records import Problem, Reading
from sermm.protocols.folds import natural
from sermm.protocols.protocol import Protocol

# What rows are counted by that have no label, or no act.
NONE = "(none)"


@dataclass(frozen=True)
class Balance:
    """The rows of a corpus under a protocol: those that take part, and by whom others are left out.

    `rows` is the sum of all the others.

    Attributes:
        rows: that the reader read, or the utterances that it gave where it does not say.
        utterances: that take part.
        problems: left out by the reader, or since the audio cannot be used, by kind of problem.
        labels: left out by the protocol, by the corpus's label.
        acts: left out by the protocol although the label is one of its own, by act.
        unaligned: left out by a protocol that takes aligned utterances only.
    """

    rows: int
    utterances: int
    problems: Mapping[str, int]
    labels: Mapping[str, int]
    acts: Mapping[str, int]
    unaligned: int = 0

    @classmethod
    def of(
        cls,
        reading: Reading,
        protocol: Protocol,
        aligned: Collection[str] | None = None,
        bad: Sequence[Problem] = (),
    ) -> "Balance":
        """Counts.

        Args:
            reading: what the reader found.
            protocol: selects by label and act.
            aligned: ids that are left of those where it takes aligned ones only; None: all.
            bad: of the audio, by id of the utterance; those that are `kept` take part.
        """
        found = reading.utterances
        rows = max(reading.rows, len(found))
        of_label = [u for u in found if u.label in protocol.labels]
        acts = protocol.acts
        of_act = [u for u in of_label if acts is None or u.act in acts]
        heard = [u for u in of_act if aligned is None or u.id in aligned]
        # Of an utterance's problems the first has left it out.
        unusable = {one.where: one.kind for one in reversed(bad) if not one.kept}
        kinds = Counter(unusable[u.id] for u in heard if u.id in unusable)
        return cls(
            rows=rows,
            utterances=len(heard) - kinds.total(),
            problems=_sorted(kinds + _lost(rows - len(found), reading.problems)),
            labels=_sorted(
                Counter(u.label or NONE for u in found if u.label not in protocol.labels)
            ),
            acts=_sorted(Counter(u.act or NONE for u in of_label if u not in of_act)),
            unaligned=len(of_act) - len(heard),
        )

    def lines(self) -> dict[str, int]:
        """Every number with its name for people, in the order in which rows are left out."""
        by_label = {f"left out by label: {name}": n for name, n in self.labels.items()}
        by_act = {f"left out by act: {name}": n for name, n in self.acts.items()}
        unaligned = {"left out: not aligned": self.unaligned} if self.unaligned else {}
        problems = {f"problem: {kind}": n for kind, n in self.problems.items()}
        return {**by_label, **by_act, **unaligned, **problems}

    def __str__(self) -> str:
        """The whole in one line."""
        parts = [f"{self.utterances} of {self.rows} rows take part"]
        for what, counts in (
            ("left out by label", self.labels),
            ("left out by act", self.acts),
            ("left out as not aligned", {"": self.unaligned} if self.unaligned else {}),
            ("problems", self.problems),
        ):
            if counts:
                listed = ", ".join(f"{name} {n}".strip() for name, n in counts.items())
                parts.append(f"{what}: {listed}")
        return "; ".join(parts)


def _lost(n: int, problems: Iterable[Problem]) -> Counter[str]:
    """The rows of which the reader has made no utterance, by kind of problem.

    A problem need not be one of a row; where the numbers say so, the kinds are named together.
    """
    kinds = Counter(problem.kind for problem in problems if not problem.kept)
    if kinds.total() == n:
        return kinds
    return Counter({", ".join(sorted(kinds)) or "unexplained": n}) if n else Counter()


def _sorted(counts: Counter[str]) -> dict[str, int]:
    """The largest first; names of the same count in natural order."""
    return {
        name: counts[name] for name in sorted(counts, key=lambda one: (-counts[one], natural(one)))
    }
