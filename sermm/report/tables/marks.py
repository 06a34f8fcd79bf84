"""What stands below a paper's table, and the marks in its cells that refer to it."""

from dataclasses import dataclass

from sermm.report.tables.agreement import other_protocol
from sermm.report.tables.comparisons import Comparison, Pair


@dataclass(frozen=True)
class Marks:
    """What stands below the table, by the mark that refers to it.

    Attributes:
        notes: on figures of the paper, numbered from 1.
        reasons: why ours are not compared, lettered from a.
    """

    notes: tuple[str, ...]
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, comparison: Comparison) -> "Marks":
        """Each text once, in the order of the cells."""
        notes = (cell.note for cell in comparison.paper.cells if cell.note)
        reasons = (
            reason(comparison, pair, twin) for pair in comparison.pairs for twin in (False, True)
        )
        return cls(tuple(dict.fromkeys(notes)), tuple(dict.fromkeys(filter(None, reasons))))

    @property
    def lines(self) -> tuple[str, ...]:
        """The footnotes."""
        numbered = (f"[{number}] {note}" for number, note in enumerate(self.notes, 1))
        lettered = (
            f"[{_letter(place)}] Not compared: {why}." for place, why in enumerate(self.reasons)
        )
        return (*numbered, *lettered)

    def of_note(self, note: str) -> str:
        """The mark before a figure of the paper; empty without a note."""
        return f"[{self.notes.index(note) + 1}] " if note else ""

    def of_reason(self, why: str) -> str:
        """The mark behind ours; empty where it is compared."""
        return f" [{_letter(self.reasons.index(why))}]" if why else ""


def _letter(place: int) -> str:
    """From a to z, then aa, ab and so on."""
    before, last = divmod(place, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)


def reason(comparison: Comparison, pair: Pair, twin: bool = False) -> str:
    """Why ours is not compared with this very cell; what holds for all cells says the note."""
    cell, protocol = pair.cell, comparison.side.protocol
    found = comparison.otherwise(pair, twin)
    if not twin and pair.figure(pair.ours) and cell.protocol != comparison.paper.protocol:
        found = (*filter(None, [other_protocol(cell.protocol, protocol)]), *found)
    return "; ".join(found)
