"""Reads IEMOCAP as it lies on disk: labels, transcripts, votes, the true talker, alignments.

Source: release `IEMOCAP_full_release` (Busso et al., LRE 42(4):335-359, 2008). The licence asks
that neither audio nor transcripts leave your copy; this reader only points at them.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

from sermm.core.errors import InputError
from sermm.core.files import is_file, is_folder
from sermm.core.records import Level, Problem, Reading, Span, Utterance
from sermm.corpora.iemocap.alignment import read_alignment
from sermm.corpora.iemocap.counts import IEMOCAP_COUNTS, Counts, compared
from sermm.corpora.iemocap.index import Index, gaps, index_corpus
from sermm.corpora.iemocap.layout import (
    SESSIONS,
    act_of,
    alignment_path,
    dialogue_of,
    evaluation_folder,
    sentence_path,
    session_of,
    speaker_of,
)

_LISTED: Final = 20
_WAY_OUT: Final = "set data.root=FOLDER or the variable SERMM_IEMOCAP"


class Iemocap:
    """Reader of IEMOCAP, or of another corpus in the same layout.

    Args:
        root: the folder that holds Session1 .. Session5, or the one above it.
        partial: accept a part of the corpus and list what is missing.
        name: name of the corpus in the records.
        expected: what a whole copy holds; None switches the self-check off.
    """

    def __init__(
        self,
        root: str | Path | int | None,
        partial: bool = False,
        name: str = "iemocap",
        expected: Counts | None = IEMOCAP_COUNTS,
    ) -> None:
        self.name = name
        self._given = root
        self._partial = partial
        self._expected = expected

    @cached_property
    def root(self) -> Path:
        """The folder that holds the sessions.

        Raises:
            InputError: there is none at the given place.
        """
        if self._given is None:
            raise InputError(f"corpus {self.name}: no root is given; {_WAY_OUT}")
        given = Path(str(self._given)).expanduser()
        for folder in (given, given / "IEMOCAP_full_release"):
            if any(is_folder(evaluation_folder(folder, session)) for session in SESSIONS):
                return folder.absolute()
        raise InputError(
            f"corpus {self.name}: {given} {_what_lies_in(given)}, expected "
            f"Session1..5/dialog/EmoEvaluation in it; {_WAY_OUT}"
        )

    def read(self) -> Reading:
        """All utterances that have a label line and a wav, and what is wrong with the others.

        The audio is not opened. An utterance without a transcript is kept, with a problem.

        Raises:
            InputError: wrong root, or the copy does not hold what is expected (see `partial`).
        """
        index = index_corpus(self.root)
        utterances = tuple(sorted(self._utterances(index), key=lambda u: u.id))
        problems = (*self._missing_sessions(), *index.problems, *gaps(self.root, index))
        checked = (*problems, *self._check(utterances, problems))
        return Reading(utterances, checked, rows=len(index.ids))

    def spans(self, utterance: Utterance, level: Level) -> tuple[Span, ...]:
        """The corpus's own forced alignment; empty where the corpus has none."""
        return read_alignment(alignment_path(self.root, utterance.id, level), level)

    def _utterances(self, index: Index) -> Iterator[Utterance]:
        position = index.positions()
        for turn in index.turns.values():
            if turn.id not in index.wavs:
                continue
            speaker = speaker_of(turn.id)
            yield Utterance(
                id=turn.id,
                corpus=self.name,
                path=sentence_path(self.root, turn.id),
                label=turn.label,
                speaker=speaker,
                group=session_of(turn.id),
                transcript=index.transcripts.get(turn.id),
                dialogue=dialogue_of(turn.id),
                turn=position[turn.id],
                act=act_of(turn.id),
                gender=speaker[-1].lower(),
                votes=turn.votes,
                attributes=turn.attributes,
                rater_attributes=turn.rater_attributes,
            )

    def _missing_sessions(self) -> tuple[Problem, ...]:
        expected = sorted(self._expected.turns_by_session) if self._expected else ()
        folders = [evaluation_folder(self.root, session) for session in expected]
        return tuple(
            Problem(
                folder.parents[1].name, f"there is no folder {folder}", "missing_session", kept=True
            )
            for folder in folders
            if not folder.is_dir()
        )

    def _check(
        self, utterances: tuple[Utterance, ...], problems: tuple[Problem, ...]
    ) -> tuple[Problem, ...]:
        """Nothing if the counts are as expected; else an error, or problems for a part."""
        if self._expected is None:
            return ()
        found = Counts.of(utterances)
        differing = self._expected.differing(found)
        # First, and below the long tables once more.
        wrong = f"missing or wrong:{_listed(problems) or ' no file, as far as names tell'}"
        if differing and not self._partial:
            raise InputError(
                f"corpus {self.name}: {self.root} does not hold what a whole copy holds\n"
                f"{wrong}\n{compared(self._expected, found)}\n{wrong}\n"
                "complete the copy, or set data.partial=true to use a part"
            )
        return tuple(_incomplete(table, self._expected, found) for table in differing)


def _incomplete(table: str, expected: Counts, found: Counts) -> Problem:
    what = f"expected {expected.line(table)}, found {found.line(table)}"
    return Problem(table, what, "incomplete", kept=True)


def _listed(problems: tuple[Problem, ...]) -> str:
    """One line a kind: how many, and where the first of them are."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for problem in problems:
        places[problem.kind].append(problem.where)
    lines = []
    for kind, where in places.items():
        more = f" and {len(where) - _LISTED} more" if len(where) > _LISTED else ""
        lines.append(f"\n  {kind} {len(where)}: {', '.join(where[:_LISTED])}{more}")
    return "".join(lines)


def _what_lies_in(folder: Path) -> str:
    if not is_folder(folder):
        return "is a file" if is_file(folder) else "does not exist"
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"holds {shown}" if names else "is empty"
