"""The words of a transcript as an aligner is to find them."""

import regex

from sermm.core.transcripts import LETTERS, spoken, straight

_WORD = regex.compile(rf"'*{LETTERS}(?:'+{LETTERS})*'*")


def words_of(text: str) -> list[str]:
    """Words without `[TAGS]`, divided by all but letters with their marks, digits and apostrophes.

    Apostrophes become plain and stay, also in front (`'cause`); one that stands alone is none.
    What a word is in scripts without blanks, see `sermm.core.transcripts`.
    """
    return list(_WORD.findall(straight(spoken(text))))
