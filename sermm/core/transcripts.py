"""Transcripts in one form: what was spoken, what counts as the same line, what a word is.

Unicode has two forms of ü: one character, or u and a mark. macOS, PDFs and some tools write the
second one. Here all text becomes the first (NFC), so that both are one word, one digest, one key.

A word is a run of letters, digits and their marks: the vowel signs of Hindi are marks, and cut
nothing. Scripts that are written without blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese)
have no words to be found without a dictionary; each character is one there, as usual in the field
(Radford et al. 2023, Whisper, score them so): their word error rate is a character error rate.
Korean has blanks, and words.
"""

import unicodedata
from typing import Final

import regex

_UNSPACED: Final = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
)
# The joiners within a word say how it is drawn (Persian, Hindi).
_RUN: Final = rf"[[\p{{L}}\p{{N}}]--{_UNSPACED}][[\p{{L}}\p{{M}}\p{{N}}\u200c\u200d]--{_UNSPACED}]*"
# What a word is made of, as a pattern for `regex`: to be found in what `spoken` gives.
LETTERS: Final = rf"(?V1:{_UNSPACED}[\p{{M}}\p{{Lm}}]*|{_RUN})"
# With apostrophes and hyphens within: "don't" and "well-known" are one word.
WORD: Final = rf"{LETTERS}(?:['‘’-]{LETTERS})*"

_TAG = regex.compile(r"\[[^\]]*\]")
_LETTERS = regex.compile(LETTERS)
_APOSTROPHES: Final = str.maketrans(dict.fromkeys("’ʼʻ＇´`", "'"))
# This one opens a quotation where it does not stand within a word (o‘clock).
_WITHIN = regex.compile(r"(?<=\p{L})‘(?=\p{L})")
_INVISIBLE = regex.compile(r"(?V1)[\p{Cf}--[\u200c\u200d]]")
_JOINERS: Final = "\u200c\u200d"
# Vowels and other points of Arabic and Hebrew, and the bar that stretches Arabic words.
_POINTS: Final = r"\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed"
_UNCOMPARED = regex.compile(rf"(?V1)[{_JOINERS}[{_POINTS}&&[\p{{M}}\u0640]]]")


def composed(text: str) -> str:
    """The same text in Unicode's composed form (NFC): ü is one character, not two."""
    return unicodedata.normalize("NFC", text)


def spoken(transcript: str | None) -> str:
    """Composed, without `[TAGS]` such as `[LAUGHTER]`, blanks squeezed: what text encoders read.

    Tags are the annotator's, not the talker's: a recogniser of an unknown call has none. Characters
    that nobody sees (soft hyphens, byte order marks, marks of direction) vanish, but for the
    joiners of Persian and Indian scripts, and a blank without width is a blank.
    """
    text = composed(transcript or "")
    if not text.isascii():
        text = _INVISIBLE.sub("", text.replace("\u200b", " "))
    return " ".join(_TAG.sub(" ", text).split())


def straight(text: str) -> str:
    """With one kind of apostrophe, the plain one, as long as the text."""
    return str(_WITHIN.sub("'", text.translate(_APOSTROPHES)))


def compared(text: str) -> str:
    """As words are compared and looked up: composed, lower case, apostrophes plain.

    Points that Arabic and Hebrew may leave out are left out, and so are joiners. Case does not know
    the language, so that Turkish İ and I both are i, and ı is another letter.
    """
    if text.isascii():
        return straight(text).lower()
    lower = straight(composed(text)).lower().replace("i\u0307", "i")
    return composed(_UNCOMPARED.sub("", lower))


def normalise(transcript: str | None) -> str:
    """As `compared`, without `[TAGS]` and punctuation, words apart by one space.

    Apostrophes vanish (`don't` = `dont`), other punctuation divides words. An unknown
    transcript, or one of tags only, gives the empty string.
    """
    return " ".join(_LETTERS.findall(compared(spoken(transcript)).replace("'", "")))
