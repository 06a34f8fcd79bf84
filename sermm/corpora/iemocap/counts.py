"""What a whole copy of IEMOCAP holds: the numbers that a reading must reach."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final

from sermm.core.records import Utterance

_FOUR: Final = {"ang": "ang", "hap": "hap", "exc": "hap", "sad": "sad", "neu": "neu"}
_SIX: Final = frozenset({"ang", "hap", "exc", "sad", "neu", "fru"})


@dataclass(frozen=True)
class Counts:
    """How many utterances (or dialogues) there are, by session, label, act or talker.

    Every table maps a name to a number; a name left out counts as 0. `four` are ang, hap+exc
    (as hap), sad and neu; `six` are ang, hap, exc, sad, neu and fru apart. The fields may be
    written to JSON (`dataclasses.asdict`) and given back (`Counts(**...)`).
    """

    turns_by_session: Mapping[str, int]
    dialogues_by_session: Mapping[str, int]
    turns_by_label: Mapping[str, int]
    four_by_class: Mapping[str, int]
    four_by_session: Mapping[str, int]
    four_by_act: Mapping[str, int]
    four_by_talker: Mapping[str, int]
    four_without_exc_by_session: Mapping[str, int]
    six_by_session: Mapping[str, int]
    six_scripted_by_session: Mapping[str, int]

    @classmethod
    def of(cls, utterances: Iterable[Utterance]) -> "Counts":
        """Counts what is there."""
        every = tuple(utterances)
        four = [u for u in every if u.label in _FOUR]
        six = [u for u in every if u.label in _SIX]
        return cls(
            turns_by_session=_tally(u.group for u in every),
            dialogues_by_session=_tally(g for g, _ in {(u.group, u.dialogue) for u in every}),
            turns_by_label=_tally(u.label for u in every),
            four_by_class=_tally(_FOUR[str(u.label)] for u in four),
            four_by_session=_tally(u.group for u in four),
            four_by_act=_tally(u.act for u in four),
            four_by_talker=_tally(u.speaker for u in four),
            four_without_exc_by_session=_tally(u.group for u in four if u.label != "exc"),
            six_by_session=_tally(u.group for u in six),
            six_scripted_by_session=_tally(u.group for u in six if u.act == "scripted"),
        )

    def differing(self, other: "Counts") -> tuple[str, ...]:
        """The names of the tables that are not equal."""
        names = (table.name for table in fields(self))
        return tuple(
            name for name in names if Counter(getattr(self, name)) != Counter(getattr(other, name))
        )

    def line(self, table: str) -> str:
        """One table in words: `1 1819, 2 1811 (sum 3630)`."""
        numbers: Mapping[str, int] = getattr(self, table)
        shown = ", ".join(f"{name} {numbers[name]}" for name in sorted(numbers))
        return f"{shown or 'none'} (sum {sum(numbers.values())})"


def _tally(names: Iterable[str | None]) -> dict[str, int]:
    # A dict, because dataclasses.asdict cannot rebuild a Counter.
    return dict(Counter(str(name) for name in names))


def compared(expected: Counts, found: Counts) -> str:
    """Both sets of tables, the differing ones marked."""
    differing = expected.differing(found)
    lines: list[str] = []
    for table in (field.name for field in fields(expected)):
        mark = "!" if table in differing else " "
        lines.append(f"{mark} {table:<28} expected {expected.line(table)}")
        lines.append(f"{'':<30} found    {found.line(table)}")
    return "\n".join(lines)


def _sessions(*numbers: int) -> dict[str, int]:
    return {str(i): number for i, number in enumerate(numbers, 1)}


IEMOCAP_COUNTS: Final = Counts(
    turns_by_session=_sessions(1819, 1811, 2136, 2103, 2170),
    dialogues_by_session=_sessions(28, 30, 32, 30, 31),
    turns_by_label={
        "ang": 1103,
        "hap": 595,
        "exc": 1041,
        "sad": 1084,
        "neu": 1708,
        "fru": 1849,
        "fea": 40,
        "sur": 107,
        "dis": 2,
        "oth": 3,
        "xxx": 2507,
    },
    four_by_class={"ang": 1103, "hap": 1636, "sad": 1084, "neu": 1708},
    four_by_session=_sessions(1085, 1023, 1151, 1031, 1241),
    four_by_act={"improvised": 2943, "scripted": 2588},
    four_by_talker={
        "Ses01F": 528,
        "Ses01M": 557,
        "Ses02F": 481,
        "Ses02M": 542,
        "Ses03F": 522,
        "Ses03M": 629,
        "Ses04F": 528,
        "Ses04M": 503,
        "Ses05F": 590,
        "Ses05M": 651,
    },
    four_without_exc_by_session=_sessions(942, 813, 1000, 793, 942),
    six_by_session=_sessions(1365, 1348, 1533, 1512, 1622),
    six_scripted_by_session=_sessions(740, 678, 691, 673, 684),
)
