"""What training could know about the test part: talkers, dialogues, lines of text."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sermm.core.records import Fold, Utterance
from sermm.core.transcripts import normalise


@dataclass(frozen=True)
class Leaks:
    """What train and test of one fold share.

    Attributes:
        speakers: talkers that are in both.
        dialogues: dialogues that are in both.
        transcripts: test utterances whose normalised transcript, of a word or more, is that of a
            training utterance.
        examples: pairs of ids (test, train) with the same transcript, the first few.
    """

    speakers: int
    dialogues: int
    transcripts: int
    examples: tuple[tuple[str, str], ...] = ()


def leaks(fold: Fold, utterances: Sequence[Utterance], n_examples: int = 3) -> Leaks:
    """Compares train and test of a fold; validation is not looked at."""
    train = _chosen(utterances, fold.train)
    test = _chosen(utterances, fold.test)
    lines = {normalise(u.transcript): u.id for u in reversed(train)}
    lines.pop("", None)
    twins = [(u.id, lines[line]) for u in test if (line := normalise(u.transcript)) in lines]
    dialogues = {u.dialogue for u in train} & {u.dialogue for u in test}
    return Leaks(
        speakers=len({u.speaker for u in train} & {u.speaker for u in test}),
        dialogues=len(dialogues - {None}),
        transcripts=len(twins),
        examples=tuple(twins[:n_examples]),
    )


def _chosen(utterances: Sequence[Utterance], ids: Collection[str]) -> list[Utterance]:
    wanted = set(ids)
    return sorted((u for u in utterances if u.id in wanted), key=lambda u: u.id)
