"""Reads the label files of IEMOCAP (`dialog/EmoEvaluation/<dialogue>.txt`)."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sermm.core.records import Attributes, Problem, Vote
from sermm.corpora.iemocap.layout import UTTERANCE_ID, Turn, dialogue_of

LABELS: Final = ("ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis", "oth", "xxx")

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_TIMES = re.compile(rf"\[\s*{_NUMBER}\s*-\s*{_NUMBER}\s*\]")
_MEANS = re.compile(rf"\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]")
_RATING = re.compile(r"(?P<kind>[CA])-(?P<rater>\w+):\t(?P<given>[^\t]*)\t\((?P<comment>.*)")
_SCALE = re.compile(r"\b(val|act|dom)[ \t]*(\d+(?:\.\d+)?)?[ \t]*(?:;|$)")


@dataclass
class _Block:
    """A turn while its rating lines are still coming."""

    id: str
    start_s: float
    end_s: float
    label: str
    attributes: Attributes
    votes: list[Vote] = field(default_factory=list)
    rater_attributes: list[tuple[str, Attributes]] = field(default_factory=list)

    def turn(self) -> Turn:
        return Turn(
            self.id,
            self.start_s,
            self.end_s,
            self.label,
            self.attributes,
            tuple(self.votes),
            tuple(self.rater_attributes),
        )


def read_evaluation(path: Path) -> tuple[list[Turn], list[Problem]]:
    """The turns of one dialogue in the order of the file.

    A line that cannot be read costs its turn and becomes a problem, and so does the second line
    with the same id; a label outside `LABELS` is kept as it stands and becomes a problem. None of
    these counts as a turn left out: one without a line that can be read is among the `gaps`.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    problems: list[Problem] = []
    blocks: dict[str, _Block] = {}
    block: _Block | None = None
    ignored: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("["):
            block = _block(line.rstrip(), path.stem)
            problem = _fault(block, blocks, line, f"{path}:{number}")
            if problem:
                problems.append(problem)
            if block and block.id in blocks:
                block = None
            if block:
                blocks[block.id] = block
        elif line.strip() and not line.startswith("%") and not _add_rating(line.rstrip(), block):
            ignored.append(number)
    if ignored:
        problems.append(_ignored(path, ignored))
    return [block.turn() for block in blocks.values()], problems


def _block(line: str, dialogue: str) -> _Block | None:
    """The head of a turn, or None if the line does not hold a whole one of this dialogue."""
    parts = [part.strip() for part in line.split("\t")]
    if len(parts) < 4 or not parts[2]:
        return None
    times, means = _TIMES.fullmatch(parts[0]), _MEANS.fullmatch(parts[3])
    name = parts[1]
    if not (times and means and UTTERANCE_ID.fullmatch(name) and dialogue_of(name) == dialogue):
        return None
    attributes = Attributes(*(float(value) for value in means.groups()))
    return _Block(name, float(times[1]), float(times[2]), parts[2], attributes)


def _fault(
    block: _Block | None, blocks: dict[str, _Block], line: str, where: str
) -> Problem | None:
    if block is None:
        what = (
            f"got {line.strip()[:80]!r}, expected [start - end], the id of a turn of this "
            "dialogue, a label and [V, A, D], parted by tabs; restore the file"
        )
        return Problem(where, what, "malformed_line", kept=True)
    if block.id in blocks:
        what = f"{block.id} stands here a second time: ignored"
        return Problem(where, what, "duplicate_id", kept=True)
    if block.label not in LABELS:
        what = f"{block.id} has the label {block.label!r}, none of {' '.join(LABELS)}"
        return Problem(where, what, "unknown_label", kept=True)
    return None


def _add_rating(line: str, block: _Block | None) -> bool:
    """Adds a rater's line to its turn (None: the turn is lost); False if it is no such line."""
    match = _RATING.fullmatch(line)
    if not match:
        return False
    scale = {
        name: float(value) if value else None for name, value in _SCALE.findall(match["given"])
    }
    if match["kind"] == "A" and len(scale) < 3:
        return False
    if block is None:
        return True
    if match["kind"] == "A":
        given = Attributes(scale["val"], scale["act"], scale["dom"])
        block.rater_attributes.append((match["rater"], given))
    else:
        labels = tuple(label.strip() for label in match["given"].split(";") if label.strip())
        block.votes.append(Vote(match["rater"], labels, match["comment"].removesuffix(")")))
    return True


def _ignored(path: Path, numbers: list[int]) -> Problem:
    what = f"{len(numbers)} lines are neither a turn nor a rating, first line {numbers[0]}: ignored"
    return Problem(str(path), what, "ignored_lines", kept=True)
