"""Two views of a transcript: what was spoken, and what counts as the same line."""

import re

_TAG = re.compile(r"\[[^\]]*\]")
_APOSTROPHE = re.compile(r"['’ʼ`]")
_NOT_WORD = re.compile(r"[\W_]+")


def spoken(transcript: str | None) -> str:
    """Without `[TAGS]` such as `[LAUGHTER]`, blanks squeezed: what text encoders read.

    Tags are the annotator's, not the talker's: a recogniser of an unknown call has none.
    """
    return " ".join(_TAG.sub(" ", transcript or "").split())


def normalise(transcript: str | None) -> str:
    """Lower case, without `[TAGS]` and punctuation, words apart by one space.

    Apostrophes vanish (`don't` = `dont`), other punctuation divides words. An unknown
    transcript, or one of tags only, gives the empty string.
    """
    text = _APOSTROPHE.sub("", spoken(transcript).lower())
    return _NOT_WORD.sub(" ", text).strip()
