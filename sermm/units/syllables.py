"""Phones become syllables: the longest legal onset goes to the next vowel, within words.

Symbols are ARPAbet with or without stress digits, plus the reduced vowels that older aligners
print (AX AXR IX UX). A consonant run between two vowels is divided so:

1. R after a vowel and before another consonant stays with that vowel (K AA R . T ER).
2. Y after two or more consonants goes to the next vowel, whatever stands before it.
3. On request S after a stressed lax vowel and before another consonant closes the syllable.
4. Of what is left, the longest suffix that English allows as an onset goes to the next vowel.

Consonants before the first vowel and after the last one belong to these. A word without a vowel
is one syllable.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

from sermm.core.records import Span

VOWELS: Final = frozenset(
    "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW AX AXR IX UX".split()  # noqa: SIM905
)
CONSONANTS: Final = frozenset(
    "B CH D DH DX F G HH JH K KD L M N NG P PD R S SH T TD TH TS V W Y Z ZH BD DD GD".split()  # noqa: SIM905
)
_ONSETS: Final = frozenset(
    (
        *(f"{first} R" for first in ("P", "T", "K", "B", "D", "G", "F", "TH")),
        *(f"{first} L" for first in ("P", "K", "B", "G", "F", "S")),
        *(f"{first} W" for first in ("K", "G", "S", "R")),
        *(f"S {second}" for second in ("P", "T", "K")),
        *(f"S {two}" for two in ("T R", "P R", "K R", "P L", "K L", "K W")),
        "HH Y",
        "T R W",
    )
)
ARPABET: Final = VOWELS | CONSONANTS
_LAX: Final = frozenset(("AE", "AH", "EH", "IH", "UH"))
# Aligners print the end of one unit and the start of the next; closer than this they touch.
_TOUCHING_S: Final = 1e-3


def is_arpabet(symbols: Sequence[str]) -> bool:
    """Whether every symbol is an ARPAbet phone, stress digits aside."""
    return all(_bare(symbol) in ARPABET for symbol in symbols)


def syllabify(word: Sequence[str], alaska: bool = False) -> list[list[str]]:
    """Divides the phones of one word into syllables; every phone is in exactly one, in order.

    Args:
        word: ARPAbet symbols; stress digits are kept and, but for rule 3, ignored.
        alaska: rule 3, `AE1 S . K` for `AE1 . S K`; it needs stress digits.
    """
    vowels = [place for place, symbol in enumerate(word) if _bare(symbol) in VOWELS]
    cuts = [0]
    for before, after in pairwise(vowels):
        run = [_bare(symbol) for symbol in word[before + 1 : after]]
        closes = alaska and _closes_with_s(word[before], run)
        cuts.append(before + 1 + _onset_starts(run, int(closes)))
    return [list(word[start:end]) for start, end in pairwise([*cuts, len(word)]) if end > start]


def syllable_spans(
    phones: Sequence[Span], words: Sequence[Span], source: str, alaska: bool = False
) -> tuple[Span, ...]:
    """Syllables with their times: from the start of the first phone to the end of the last.

    A phone belongs to the word that its middle lies in. Phones outside every word make up words
    of their own, parted by the words and by pauses between them. The symbol is the phones joined
    by `_`.

    Args:
        phones: of one utterance, in order of time.
        words: of the same utterance, in order of time; may be empty.
        source: of the syllables.
        alaska: see `syllabify`.
    """
    spans = []
    for word in _by_word(phones, words):
        at = 0
        for syllable in syllabify([phone.symbol for phone in word], alaska):
            part = word[at : at + len(syllable)]
            at += len(syllable)
            end_s = max(phone.end_s for phone in part)
            spans.append(Span("_".join(syllable), part[0].start_s, end_s, "syllable", source))
    return tuple(spans)


def _bare(symbol: str) -> str:
    return symbol.rstrip("012")


def _closes_with_s(vowel: str, run: Sequence[str]) -> bool:
    return vowel[-1:] in "12" and _bare(vowel) in _LAX and len(run) > 1 and run[0] == "S"


def _onset_starts(run: Sequence[str], coda: int) -> int:
    """How many consonants of a run stay with the vowel before it; at least `coda`."""
    if len(run) > 1 and run[0] == "R":
        coda = 1
    end = len(run)
    if end > 2 and run[-1] == "Y":
        end -= 1
    return next((n for n in range(coda, end) if _legal(run[n:end])), end)


def _legal(onset: Sequence[str]) -> bool:
    return onset[0] != "NG" if len(onset) == 1 else " ".join(onset) in _ONSETS


def _by_word(phones: Sequence[Span], words: Sequence[Span]) -> Iterator[list[Span]]:
    """The phones of each word, and those of each stretch outside words."""
    starts = [word.start_s for word in words]

    def place(phone: Span) -> tuple[int, bool]:
        middle = (phone.start_s + phone.end_s) / 2
        index = bisect_right(starts, middle) - 1
        return index, index >= 0 and middle < words[index].end_s

    for (_, inside), group in groupby(phones, key=place):
        members = list(group)
        if inside:
            yield members
        else:
            yield from _by_pause(members)


def _by_pause(phones: Sequence[Span]) -> Iterator[list[Span]]:
    stretch = [phones[0]]
    for before, phone in pairwise(phones):
        if phone.start_s - before.end_s > _TOUCHING_S:
            yield stretch
            stretch = []
        stretch.append(phone)
    yield stretch
