"""The characters of a transcript as numbers: what speech recognition by CTC learns to write."""

import string
import unicodedata
from typing import Final

from sermm.core.transcripts import straight

# Numbered from 1: 0 is the blank of CTC.
ALPHABET: Final = " '" + string.ascii_lowercase
N_CHARACTERS: Final = 1 + len(ALPHABET)
_IDS: Final = {character: number for number, character in enumerate(ALPHABET, start=1)}


def spelled(text: str) -> list[int]:
    """The ids of a text's characters; none where there is nothing to write.

    Letters lose case and accents (ß = ss); digits and other signs vanish, and divide words.
    """
    folded = unicodedata.normalize("NFKD", straight(text).casefold())
    letters = "".join(c for c in folded if not unicodedata.combining(c))
    known = "".join(c if c in _IDS else " " for c in letters)
    return [_IDS[c] for c in " ".join(known.split())]
