"""Which words of a transcript are negative, and which tokens make them.

Tokenizers cut words into pieces; people and lexicons know words. Both are joined by characters: a
token belongs to each word that it has a character of. What a word is, and how words are compared,
says `sermm.core.transcripts`; here apostrophes and hyphens do not divide words.

Source: the list is from Hutto and Gilbert 2014, VADER, unless a file is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import regex

from sermm.core.errors import InputError
from sermm.core.transcripts import WORD, compared
from sermm.encoders.base import Piece

_WORD = regex.compile(WORD)
_MOST_VALENCE = -1.0


@dataclass(frozen=True)
class Word:
    """A word of a transcript.

    Attributes:
        text: as words are compared: lower case, apostrophes straight.
        tokens: the numbers of the tokens that have a character of it; none if it was cut off.
    """

    text: str
    tokens: tuple[int, ...]


def words_of(transcript: str, pieces: Sequence[Piece]) -> list[Word]:
    """The words of a transcript, joined to its tokens.

    Args:
        transcript: as the text encoder read it, in Unicode's composed form.
        pieces: what its tokens stand for, with their characters; none: the words alone.
    """
    return [
        Word(
            compared(match.group()),
            tuple(
                i
                for i, piece in enumerate(pieces)
                if piece.span and piece.span[0] < match.end() and match.start() < piece.span[1]
            ),
        )
        for match in _WORD.finditer(transcript)
    ]


def negative_words(file: Path | None) -> frozenset[str]:
    """A list of negative words, lower case.

    Args:
        file: one word a line; None: the English words of the VADER lexicon (Hutto and Gilbert
            2014, MIT licence) whose mean valence, from -4 to 4, is -1 or less.

    Raises:
        InputError: the file cannot be read, or has no words.
    """
    if file is None:
        return _of_vader()
    try:
        words = {
            compared(line.strip())
            for line in file.read_text(encoding="utf-8-sig").splitlines()
            if line.strip()
        }
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"lexicon={file} cannot be read ({error}); give a UTF-8 file with a word a line"
        ) from error
    if not words:
        raise InputError(f"lexicon={file} has no words; give a UTF-8 file with a word a line")
    return frozenset(words)


def _of_vader() -> frozenset[str]:
    """Its negative words; it has emoticons too, which no transcript has."""
    lexicon = files("vaderSentiment").joinpath("vader_lexicon.txt").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in lexicon.splitlines() if line.strip())
    rated = {compared(word.strip()): float(valence) for word, valence, *_ in rows}
    # It has emoticons, too.
    return frozenset(
        word for word, v in rated.items() if v <= _MOST_VALENCE and _WORD.fullmatch(word)
    )
