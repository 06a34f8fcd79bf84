"""Word errors of recognised texts against human ones.

Both sides are normalised by `sermm.core.transcripts.normalise`: composed, lower case, no tags, no
punctuation, no apostrophes; in scripts without blanks each character is a word.
WER = (substitutions + deletions + insertions) / words of the human.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sermm.core.transcripts import compared, composed, normalise, spoken


@dataclass(frozen=True)
class WordErrors:
    """Errors of several utterances together.

    Attributes:
        utterances: those whose human transcript has a word.
        words: of the human transcripts.
        wordless: those whose human transcript has none after normalisation; they do not enter the
            rate.
        words_in_wordless: what was recognised in them all the same.
        untranscribed: those without a human transcript.
    """

    utterances: int = 0
    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    wordless: int = 0
    words_in_wordless: int = 0
    untranscribed: int = 0

    @property
    def wer(self) -> float | None:
        """The word error rate; None where there is no word."""
        errors = self.substitutions + self.deletions + self.insertions
        return errors / self.words if self.words else None


def word_errors(pairs: Iterable[tuple[str | None, str]]) -> WordErrors:
    """Counts over (human, recognised) pairs; a human transcript of None is unknown."""
    import jiwer

    pairs = list(pairs)
    known = [(normalise(human), normalise(heard)) for human, heard in pairs if human is not None]
    worded = [(human, heard) for human, heard in known if human]
    empty = [heard for human, heard in known if not human]
    counts = {"substitutions": 0, "deletions": 0, "insertions": 0}
    if worded:
        found = jiwer.process_words([human for human, _ in worded], [heard for _, heard in worded])
        counts = {name: int(getattr(found, name)) for name in counts}
    return WordErrors(
        utterances=len(worded),
        words=sum(len(human.split()) for human, _ in worded),
        wordless=len(empty),
        words_in_wordless=sum(len(heard.split()) for heard in empty),
        untranscribed=len(pairs) - len(known),
        **counts,
    )


@dataclass(frozen=True)
class Unwritable:
    """What a recogniser can never write.

    Attributes:
        characters: how often each occurs.
        utterances: how many have one.
    """

    characters: dict[str, int]
    utterances: int


def unwritable(transcripts: Iterable[str | None], characters: frozenset[str]) -> Unwritable:
    """Characters of human transcripts that are not among these lower-case ones.

    Punctuation, blanks and what else scoring takes no notice of are not looked at. A character that
    the recogniser writes in parts (a letter, then its mark) is one that it can write.
    """
    known = characters | {composed(c) for c in characters}
    counts: Counter[str] = Counter()
    utterances = 0
    for transcript in transcripts:
        written = filter(_is_written, compared(spoken(transcript)))
        lacking = [c for c in written if c not in known and not set(_parts(c)) <= known]
        counts.update(lacking)
        utterances += bool(lacking)
    return Unwritable(dict(counts.most_common()), utterances)


def _parts(character: str) -> str:
    return unicodedata.normalize("NFD", character)


def _is_written(character: str) -> bool:
    return not character.isspace() and not unicodedata.category(character).startswith("P")
