"""Synonyms from Princeton WordNet 3, read by nltk from the folder of its database files.

Source: Fellbaum (ed.) 1998, "WordNet". The files are those of the Debian package `wordnet-base`.
Words are read without their sentence, so only what the word mostly is counts: its part of speech
has at least `_PREVAILS` of the uses that WordNet counted in text, and its sense is the most
frequent one. A synonym has been seen in that very sense, which leaves out `tiffin` for `lunch`.
"""

import io
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from sermm.core.errors import InputError

DEBIAN: Final = Path("/usr/share/wordnet")
_VARIABLE: Final = "WNSEARCHDIR"
# Noun, verb, adjective, adverb.
_PARTS: Final = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_FILES: Final = (
    *(f"{kind}.{part}" for kind in ("index", "data") for part in _PARTS.values()),
    *(f"{part}.exc" for part in _PARTS.values()),
    "cntlist.rev",
)
# Names of the lexicographers' files: nltk wants them, the Debian package has none, we read none.
_LEXNAMES: Final = "".join(f"{number:02} file{number} 0\n" for number in range(45))
_SUFFIXES: Final = {"n": ("s",), "v": ("s", "ed", "ing")}
_PREVAILS: Final = 0.75
_SHORTEST: Final = 3
# Auxiliary verbs, and words without content that WordNet lists in some sense.
_FUNCTION: Final = """
    about above after again all along also any are around away back been before behind being below
    beside between both but can could dare did does doing done down each either else enough even
    ever every few for gets getting got had has have having her here him his how just less like
    little many may might mine more most much must near need neither never none nor not now off
    once one only other our out over own she should shall some still such than that the then there
    they this though through thus too two three under until upon very was well were what when where
    which while who why will with within without would yes yet you
"""
_FUNCTION_WORDS: Final = frozenset(_FUNCTION.split())


def folder_of(given: str | Path | None) -> Path:
    """The folder of WordNet's files: the given one, else $WNSEARCHDIR, else Debian's.

    Raises:
        InputError: it lacks some of them.
    """
    folder = Path(given or os.environ.get(_VARIABLE) or DEBIAN).expanduser()
    if missing := [name for name in _FILES if not (folder / name).is_file()]:
        raise InputError(
            f"augment.synonyms.wordnet={given}: {folder} has no {missing[0]}; install the Debian "
            f"package wordnet-base (apt-get install wordnet-base), or give a folder with the "
            f"database files of WordNet 3 (dict/) here or as ${_VARIABLE}"
        )
    return folder


def synonyms(folder: Path, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The synonyms of words in small letters, in the same form, sorted; without those of none."""
    known = _WordNet(folder)
    found = {word: known.of(word) for word in sorted(set(words))}
    return {word: others for word, others in found.items() if others}


class _WordNet:
    """Looks words up."""

    def __init__(self, folder: Path) -> None:
        self._reader = _reader(folder)
        self._irregular = {
            part: {line.split()[1] for line in _lines(folder / f"{name}.exc")}
            for part, name in _PARTS.items()
        }

    def of(self, word: str) -> tuple[str, ...]:
        """The synonyms of a word, in its form."""
        part = None if len(word) < _SHORTEST or word in _FUNCTION_WORDS else self._mostly(word)
        if part is None:
            return ()
        base = self._reader.morphy(word, part)
        suffix = None if base == word else _suffix(word, base, part)
        if base != word and suffix is None:
            return ()
        lemmas = self._reader.synsets(base, part)[0].lemmas()
        names = {x.name() for x in lemmas if x.name() != base and x.count() and _simple(x.name())}
        if suffix is None:
            return tuple(sorted(names))
        regular = {x for x in names - self._irregular[part] if not (suffix == "s" and x[-1] == "o")}
        return tuple(sorted(inflected(x, suffix) for x in regular))

    def _mostly(self, word: str) -> str | None:
        """The part of speech that prevails; None: none does, or no use of the word was counted."""
        uses = {part: self._uses(word, part) for part in _PARTS}
        part = max(uses, key=lambda one: uses[one])
        return part if uses[part] > 0 and uses[part] >= _PREVAILS * sum(uses.values()) else None

    def _uses(self, word: str, part: str) -> int:
        base = self._reader.morphy(word, part)
        if base is None:
            return 0
        senses = self._reader.synsets(base, part)
        return sum(x.count() for one in senses for x in one.lemmas() if x.name().lower() == base)


def inflected(base: str, suffix: str) -> str:
    """The regular form of a noun or verb with `s`, `ed` or `ing`, consonants never doubled."""
    after_consonant = len(base) > 1 and base[-2] not in "aeiou"
    if suffix == "ing":
        silent = base.endswith("e") and not base.endswith(("ee", "oe", "ye"))
        return (base[:-1] if silent else base) + "ing"
    if base.endswith("y") and after_consonant:
        return base[:-1] + {"s": "ies", "ed": "ied"}[suffix]
    if suffix == "ed":
        return base + ("d" if base.endswith("e") else "ed")
    return base + ("es" if base.endswith(("s", "x", "z", "ch", "sh")) else "s")


def _suffix(word: str, base: str, part: str) -> str | None:
    """What makes the word of its base; None where the form is irregular."""
    return next((x for x in _SUFFIXES.get(part, ()) if inflected(base, x) == word), None)


def _simple(name: str) -> bool:
    """Whether it is one word, and nobody's name."""
    return name.isalpha() and name.islower()


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _reader(folder: Path) -> Any:
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):  # type: ignore[misc]
        """Does without the files that the Debian package has not."""

        def open(self, file: str) -> Any:
            """The file, or a stand-in for `lexnames`."""
            return io.StringIO(_LEXNAMES) if file == "lexnames" else super().open(file)

        def map_wn(self, version: str = "wordnet") -> None:
            """Nothing: versions are mapped for other languages, by `index.sense`."""

    # nltk reads only what lies where it has been told that data is.
    if str(folder) not in nltk.data.path:
        nltk.data.path.append(str(folder))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The multilingual functions")
        return Reader(str(folder), None)
