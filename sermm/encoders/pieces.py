"""Where the tokens of a transcript stand in it, so that they can be read and joined to words."""

import re
from collections.abc import Collection, Sequence

from sermm.encoders.base import Piece

# How tokenizers mark where a word starts (SentencePiece, byte pairs) or goes on (WordPiece).
_MARKS = re.compile(r"^##|^[▁Ġ]+")


def of_offsets(
    names: Sequence[str], offsets: Sequence[tuple[int, int]], transcript: str
) -> list[Piece]:
    """Tokens by what the tokenizer says of them; blanks before a word do not belong to it.

    Args:
        names: of the tokens in the vocabulary.
        offsets: first character and end of each; equal where it stands for none.
        transcript: what was tokenized.
    """
    found = []
    for name, (start, end) in zip(names, offsets, strict=True):
        text = transcript[start:end]
        first = start + len(text) - len(text.lstrip())
        text = text.strip()
        # SentencePiece gives a mark by itself the place of the word that it stands before.
        known = text and _MARKS.sub("", name)
        found.append(Piece(text, (first, first + len(text))) if known else Piece(name))
    return found


def found_again(names: Sequence[str], transcript: str, special: Collection[str]) -> list[Piece]:
    """Tokens of a tokenizer that does not say where they stand: looked for from left to right.

    Args:
        names: of the tokens in the vocabulary.
        transcript: what was tokenized.
        special: names of tokens that stand for no character.
    """
    found, at = [], 0
    for name in names:
        text = _MARKS.sub("", name)
        place = re.compile(re.escape(text), re.IGNORECASE).search(transcript, at)
        if name in special or not text or place is None:
            found.append(Piece(text or name))
            continue
        at = place.end()
        found.append(Piece(place.group(), place.span()))
    return found
