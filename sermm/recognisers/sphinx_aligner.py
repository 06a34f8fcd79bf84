"""Words and phones in time by PocketSphinx, which brings an English model and dictionary.

The dictionary has no stress and the frames last 10 ms, as in IEMOCAP's own alignments. Two
passes: the first picks the pronunciation of each word and puts pauses between words, the second
finds the phones. Where the path does not end with the last word (its search is pruned hard),
there are two more attempts: with faint noise around the audio, and with silence and wider beams.

A decoder keeps something of the utterances that it has heard: the same one again gives times that
differ by a frame. So each utterance gets a decoder of its own, which is quick without the
dictionary; that is read here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from sermm.core.digest import digest_file
from sermm.core.errors import InputError
from sermm.core.records import Level, Problem, Span
from sermm.core.seeding import generator
from sermm.core.transcripts import compared
from sermm.units.aligned import Aligned
from sermm.units.syllables import ARPABET
from sermm.units.words import words_of

# Raise it when spans of the same audio and text change: earlier ones no longer count.
_VERSION: Final = 1
_FRAMES_PER_S: Final = 100
_FILLER = re.compile(r"<.*>|\[.*\]|\+.*\+")
_VARIANT = re.compile(r"\(\d+\)$")

_SAMPLES_PER_S: Final = 16_000
_PAD_S: Final = 0.3
_FAINT: Final = 0.0005
_WIDE: Final = {"beam": 1e-60, "pbeam": 1e-60, "wbeam": 1e-60}
# What is put around the audio, how loud that is, and how the search is pruned.
_ATTEMPTS: Final[tuple[tuple[float, float, dict[str, float]], ...]] = (
    (0.0, 0.0, {}),
    (_PAD_S, _FAINT, {}),
    (_PAD_S, 0.0, _WIDE),
)

Pronunciations = dict[str, list[str]]
"""Phones apart by blanks, one string a way of saying it, by word in lower case."""


def is_installed() -> bool:
    """Whether the optional extra is there."""
    return find_spec("pocketsphinx") is not None


class SphinxAligner:
    """Finds words and phones of English speech.

    Args:
        dictionary: words that the model's own dictionary lacks, in its form: a line holds a word
            and its ARPAbet phones (`sermm S ER M`), another way of saying it `word(2)`. A word of
            both is said as here.

    Raises:
        InputError: PocketSphinx is not installed, or the dictionary cannot be read.
    """

    name = "pocketsphinx"

    def __init__(self, dictionary: str | Path | None = None) -> None:
        if not is_installed():
            raise InputError(
                'PocketSphinx is not installed; run pip install "sermm[sphinx]", or leave '
                "pocketsphinx out of align.sources"
            )
        self._own = None if dictionary is None else Path(dictionary).expanduser()
        self._pronunciations = _of_the_model()
        if self._own is not None:
            self._pronunciations = self._pronunciations | read_dictionary(self._own)

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the spans."""
        return {
            "aligner": self.name,
            "version": _VERSION,
            "pocketsphinx": version("pocketsphinx"),
            "dictionary": None if self._own is None else digest_file(self._own),
        }

    def align(self, utterance_id: str, samples: Float[np.ndarray, " t"], text: str) -> Aligned:
        """Words and phones, without silences.

        An utterance without words has no spans; one that cannot be aligned has a problem.

        Args:
            utterance_id: for the problems.
            samples: mono at 16 kHz in -1..1.
            text: what is said.
        """
        known, unknown = self._known(text)
        problems = []
        if unknown:
            what = f"{self.name}: not in the dictionary, left out: {' '.join(unknown)}"
            problems.append(Problem(utterance_id, what, "unknown_words"))
        if not known:
            return Aligned({}, tuple(problems))
        for pad_s, level, beams in _ATTEMPTS:
            spans = self._attempt(known, _padded(samples, pad_s, level), beams, pad_s)
            if spans is not None:
                return Aligned(spans, tuple(problems))
        what = f"{self.name}: the audio cannot hold the words; is this its transcript?"
        return Aligned({}, (*problems, Problem(utterance_id, what, "cannot_be_aligned")))

    def _known(self, text: str) -> tuple[list[str], list[str]]:
        """The words that the dictionary has, and the others."""
        known: list[str] = []
        unknown: list[str] = []
        for word in words_of(compared(text)):
            forms = (word, word.strip("'"))
            found = next((form for form in forms if form in self._pronunciations), None)
            (unknown if found is None else known).append(found or word)
        return known, unknown

    def _attempt(
        self,
        words: Sequence[str],
        samples: Float[np.ndarray, " t"],
        beams: Mapping[str, float],
        earlier_s: float,
    ) -> dict[Level, tuple[Span, ...]] | None:
        """Both passes; None if there is no path to the last word."""
        pcm = (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()
        decoder = self._decoder(words, beams)
        decoder.set_align_text(" ".join(words))
        try:
            _decode(decoder, pcm)
            decoder.set_alignment()
            _decode(decoder, pcm)
        except (RuntimeError, IndexError):
            return None
        spans = self._spans(decoder, earlier_s)
        return spans if len(spans["word"]) == len(words) else None

    def _spans(self, decoder: Any, earlier_s: float) -> dict[Level, tuple[Span, ...]]:
        words: list[Span] = []
        phones: list[Span] = []
        # Its memory is PocketSphinx's: a word cannot be read once the iteration has left it.
        for word in decoder.get_alignment():
            if not _FILLER.match(word.name):
                words.append(self._span(word, "word", earlier_s))
                phones += [self._span(phone, "phone", earlier_s) for phone in word]
        return {"word": tuple(words), "phone": tuple(phones)}

    def _decoder(self, words: Iterable[str], beams: Mapping[str, float]) -> Any:
        from pocketsphinx import Decoder

        decoder = Decoder(lm=None, dict=None, loglevel="FATAL", **beams)
        for word in sorted(set(words)):
            for number, phones in enumerate(self._pronunciations[word], 1):
                decoder.add_word(word if number == 1 else f"{word}({number})", phones)
        return decoder

    def _span(self, unit: Any, level: Level, earlier_s: float) -> Span:
        start_s = unit.start / _FRAMES_PER_S - earlier_s
        end_s = (unit.start + unit.duration) / _FRAMES_PER_S - earlier_s
        return Span(
            _VARIANT.sub("", unit.name), round(start_s, 2), round(end_s, 2), level, self.name
        )


def read_dictionary(path: Path) -> Pronunciations:
    """Reads a dictionary in the form of CMUdict without stress.

    Raises:
        InputError: it cannot be read, or a line is not a word and ARPAbet phones.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"dictionary {path}: cannot be read as UTF-8 text ({error})") from error
    found: Pronunciations = {}
    for number, line in enumerate(lines, 1):
        word, _, phones = " ".join(line.split()).partition(" ")
        if not word:
            continue
        if not phones or not set(phones.split()) <= ARPABET:
            raise InputError(
                f"dictionary {path}, line {number}: expected a word and ARPAbet phones without "
                f"stress, such as `door D AO R`, got {line!r}"
            )
        found.setdefault(compared(_VARIANT.sub("", word)), []).append(phones)
    return found


@cache
def _of_the_model() -> Pronunciations:
    from pocketsphinx import get_model_path

    return read_dictionary(Path(get_model_path()) / "en-us" / "cmudict-en-us.dict")


def _padded(
    samples: Float[np.ndarray, " t"], pad_s: float, level: float
) -> Float[np.ndarray, " u"]:
    count = round(pad_s * _SAMPLES_PER_S)
    noise = level * generator(0, "padding").standard_normal(2 * count)
    return np.concatenate((noise[:count], samples, noise[count:]))


def _decode(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    try:
        # At once, so that the means that are subtracted are those of the whole utterance.
        decoder.process_raw(pcm, full_utt=True)
    finally:
        decoder.end_utt()
