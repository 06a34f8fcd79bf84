"""The words of a transcript as an aligner is to find them."""

import re

from sermm.core.transcripts import spoken

_APOSTROPHES = re.compile(r"[’ʼ`]")
_BETWEEN_WORDS = re.compile(r"[^\w']+|_+")


def words_of(text: str) -> list[str]:
    """Words without `[TAGS]`, divided by all but letters, digits and apostrophes.

    Apostrophes become plain and stay, also in front (`'cause`); one that stands alone is none.
    """
    straight = _APOSTROPHES.sub("'", spoken(text))
    return [word for word in _BETWEEN_WORDS.split(straight) if word.strip("'")]
