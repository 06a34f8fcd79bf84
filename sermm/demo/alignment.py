"""Turns the synthesiser's events into aligned words, syllables and phones.

Starts of words and phones are the synthesiser's own, rounded to frames of 10 ms. An r-coloured
vowel is one sound to it and two phones in ARPAbet: the boundary between these is put half-way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from sermm.core.records import Level, Span
from sermm.corpora.iemocap.layout import FRAMES_PER_S
from sermm.demo.speech import Event

# A zero-width joiner between words keeps espeak-ng from speaking two of them as one entry of its
# dictionary ("with the"), for which it reports one word.
_JOINER: Final = "\u200d"

_ARPABET: Final = {
    **{symbol: symbol.upper() for symbol in "pbtdkgfvszmnlrw"},
    **dict.fromkeys(("t#", "t2"), "T"),
    "l#": "L",
    "h": "HH",
    "j": "Y",
    "N": "NG",
    "T": "TH",
    "D": "DH",
    "S": "SH",
    "Z": "ZH",
    "tS": "CH",
    "dZ": "JH",
    **dict.fromkeys(("a", "aa"), "AE"),
    **dict.fromkeys(("a#", "@", "@2", "@-", "V"), "AH"),
    **dict.fromkeys(("0", "A:", "O2"), "AA"),
    **dict.fromkeys(("O:", "O"), "AO"),
    **dict.fromkeys(("I", "I2", "I#"), "IH"),
    **dict.fromkeys(("i", "i:"), "IY"),
    **dict.fromkeys(("u:", "u"), "UW"),
    **dict.fromkeys(("3", "3:"), "ER"),
    "E": "EH",
    "U": "UH",
    "aI": "AY",
    "aU": "AW",
    "eI": "EY",
    "oU": "OW",
    "OI": "OY",
    "@L": "AH L",
    "A@": "AA R",
    "O@": "AO R",
    "o@": "AO R",
    "e@": "EH R",
    "i@": "IY AH",
    "i@3": "IH R",
    "U@": "UH R",
    "aI3": "AY ER",
    "aI@": "AY AH",
}
_PAUSE: Final = "_"
_STRESS: Final = "',%="
# Palatal and r links between words: they belong to the sound before.
_LINKS: Final = (";", "r-")
_VOWELS: Final = frozenset(
    ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
)
_ONSETS: Final = frozenset(
    (
        *(f"{first} R" for first in ("P", "T", "K", "B", "D", "G", "F", "TH", "S T", "S P", "S K")),
        *(f"{first} L" for first in ("P", "K", "B", "G", "F", "S", "S K", "S P")),
        *(f"{first} W" for first in ("T", "K", "G", "S", "R", "S K")),
        *(f"{first} Y" for first in ("P", "K", "B", "F", "V", "M", "HH")),
        *(f"S {second}" for second in ("P", "T", "K", "M", "N")),
    )
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A phone from frame `start` up to, not including, `end`; `place` is that of its word."""

    place: int
    symbol: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """The units of one utterance by level."""

    words: tuple[Span, ...]
    phones: tuple[Span, ...]
    syllables: tuple[Span, ...]


def speakable(sentence: str) -> str:
    """The sentence as the synthesiser is to get it.

    It ends in a full stop: a question or exclamation mark would change the melody, and only the
    label is to do that.
    """
    return f"{_JOINER} ".join(sentence.rstrip(".!?").split()) + "."


def speech_end_s(events: Sequence[Event]) -> float:
    """Where the last sound ends, in the synthesiser's time."""
    return max(stop.at_s for start, stop in pairwise(_sounds(events)) if _audible(start))


def align(spoken: str, events: Sequence[Event], lead_s: float) -> Alignment:
    """Spans of the words of `spoken`, in seconds from the start of an utterance.

    Args:
        spoken: what was given to the synthesiser.
        events: what it reported.
        lead_s: where the speech starts in the utterance.
    """
    words, phones, syllables = [], [], []
    for place, group in groupby(_pieces(events, lead_s), key=lambda piece: piece.place):
        pieces = list(group)
        words.append(_span(_word_at(spoken, place), pieces, "word"))
        phones += [_span(piece.symbol, [piece], "phone") for piece in pieces]
        syllables += [
            _span("_".join(p.symbol for p in part), part, "syllable") for part in _syllables(pieces)
        ]
    return Alignment(tuple(words), tuple(phones), tuple(syllables))


def _sounds(events: Iterable[Event]) -> list[Event]:
    """Phones and pauses, each with the place of its word."""
    sounds: list[Event] = []
    place = 0
    for event in events:
        if event.kind == "word":
            place = event.place
        elif event.symbol not in _LINKS:
            sounds.append(Event("phone", event.at_s, place, event.symbol.lstrip(_STRESS)))
    return sounds


def _audible(sound: Event) -> bool:
    return not sound.symbol.startswith(_PAUSE)


def _pieces(events: Sequence[Event], lead_s: float) -> list[_Piece]:
    pieces: list[_Piece] = []
    at = 0
    for sound, following in pairwise(_sounds(events)):
        if not _audible(sound):
            continue
        symbols = _arpabet(sound.symbol, following.symbol)
        start = max(at, round((lead_s + sound.at_s) * FRAMES_PER_S))
        end = max(start + len(symbols), round((lead_s + following.at_s) * FRAMES_PER_S))
        cuts = [start + i * (end - start) // len(symbols) for i in range(len(symbols) + 1)]
        pieces += [
            _Piece(sound.place, symbol, *cut)
            for symbol, cut in zip(symbols, pairwise(cuts), strict=True)
        ]
        at = end
    return pieces


def _arpabet(symbol: str, following: str) -> list[str]:
    if symbol not in _ARPABET:
        raise ValueError(f"the synthesiser's phone {symbol!r} has no ARPAbet here: add it")
    phones = _ARPABET[symbol].split()
    spoken_twice = following == "r" and len(phones) > 1 and phones[-1] == "R"
    return phones[:-1] if spoken_twice else phones


def _syllables(word: list[_Piece]) -> list[list[_Piece]]:
    """Parts around each vowel; consonants between two go to the later as far as English allows."""
    nuclei = [i for i, piece in enumerate(word) if piece.symbol in _VOWELS]
    cuts = [0]
    for before, after in pairwise(nuclei):
        cut = after
        while cut - 1 > before and _onset([p.symbol for p in word[cut - 1 : after]]):
            cut -= 1
        cuts.append(cut)
    return [word[start:end] for start, end in pairwise([*cuts, len(word)])]


def _onset(symbols: list[str]) -> bool:
    """Whether an English syllable may begin so."""
    return symbols != ["NG"] if len(symbols) == 1 else " ".join(symbols) in _ONSETS


def _word_at(spoken: str, place: int) -> str:
    word = spoken[place:].split()[0]
    return "".join(c for c in word.upper() if c.isalpha() or c == "'")


def _span(symbol: str, pieces: list[_Piece], level: Level) -> Span:
    start_s, end_s = pieces[0].start / FRAMES_PER_S, pieces[-1].end / FRAMES_PER_S
    return Span(symbol, start_s, end_s, level, "corpus")
