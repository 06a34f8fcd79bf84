"""From a corpus's own words for emotions to codes, however they are spelled."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from sermm.core.records import Problem
from sermm.core.transcripts import composed

_NEAR: Final = 3


class Codes:
    """Emotion codes by a corpus's words; blanks around a word, and its case, are of no matter.

    Unless the case alone tells two words apart: then it counts.

    Args:
        labels: code by word; None = leave unlabelled.
    """

    def __init__(self, labels: Mapping[Any, str | None]) -> None:
        # In YAML, keys may be numbers.
        self._codes = {composed(str(word).strip()): code for word, code in labels.items()}
        self._words = _by_spelling(self._codes)

    def code(self, word: str | None, where: str) -> tuple[str | None, list[Problem]]:
        """The code of a word, and a problem if there is no word or it is not known.

        Args:
            word: as the corpus has it; None: nothing.
            where: the file (with line) or the utterance, for the problem.
        """
        given = composed((word or "").strip())
        if not given:
            return None, [Problem(where, "no label", "missing_label", kept=True)]
        if given in self._codes:
            return self._codes[given], []
        spelled = self._words.get(given.casefold(), [])
        if len(spelled) == 1:
            return self._codes[spelled[0]], []
        near = get_close_matches(given.casefold(), self._words, n=_NEAR)
        close = [one for key in near for one in self._words[key]] or list(self._codes)
        what = (
            f"label {given!r} is not in data.labels ({'near' if near else 'known'}: "
            f"{', '.join(close)}); the utterance has no label"
        )
        return None, [Problem(where, what, f"unknown_label:{given}", kept=True)]


class OwnCodes(Codes):
    """A corpus's words as codes; of those that differ in case only, the most frequent spelling.

    Args:
        words: of all utterances; None: nothing.
    """

    def __init__(self, words: Iterable[str | None]) -> None:
        counts = Counter(composed(word.strip()) for word in words if word and word.strip())
        most = {
            key: max(sorted(spelled), key=lambda word: (counts[word], word == word.lower()))
            for key, spelled in _by_spelling(counts).items()
        }
        super().__init__({word: most[word.casefold()] for word in counts})

    def code(self, word: str | None, where: str) -> tuple[str | None, list[Problem]]:
        """The code of a word, and a problem if there is no word, or it is spelled otherwise."""
        code, problems = super().code(word, where)
        given = composed((word or "").strip())
        if code in (None, given):
            return code, problems
        what = f"label {given!r} is taken for {code!r}, as more rows have it; data.labels can tell"
        return code, [*problems, Problem(where, what, f"label_spelling:{given}", kept=True)]


def _by_spelling(words: Iterable[str]) -> dict[str, list[str]]:
    """The words that differ in nothing but case, by what they have in common."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for word in words:
        found[word.casefold()].append(word)
    return dict(found)
