"""Words of transcripts replaced by synonyms on the fly, for training batches only.

Source: Li 2025, section 5.1, names synonym replacement and no more. Ours: each word that has
synonyms (`sermm.data.augment.wordnet`) is replaced with probability p, by any of them alike.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import regex
import torch

from sermm.core.ragged import Ragged
from sermm.core.seeding import generator
from sermm.core.transcripts import WORD, compared
from sermm.data.augment.wordnet import folder_of, synonyms

Thesaurus = Callable[[Iterable[str]], Mapping[str, Sequence[str]]]
# A word with its apostrophes and hyphens: "don't" is one word, and none that has synonyms.
_WORD: Final = regex.compile(WORD)
_SENTENCE_ENDS: Final = ".!?"


class Synonyms:
    """How transcripts are reworded.

    Args:
        p: how likely a word that has synonyms is replaced.
        wordnet: the folder of its files; None: $WNSEARCHDIR or Debian's.
        seed: of the run.
        thesaurus: gives the synonyms of words; None: WordNet.

    Attributes:
        settings: `p` and `wordnet`, as the result records them.

    Raises:
        InputError: WordNet is not there.
    """

    def __init__(
        self, p: float, wordnet: str | None, seed: int, thesaurus: Thesaurus | None = None
    ) -> None:
        self.settings = {"p": p, "wordnet": wordnet}
        self.seed, self.p = seed, p
        self.thesaurus = thesaurus or partial(synonyms, folder_of(wordnet))


class Reworded:
    """Token ids of reworded transcripts; what each gets follows from seed, epoch and utterance id.

    Case and punctuation stay, and so does an article before a word. Names stay: words with a
    capital within a sentence.

    Args:
        synonyms: how they are reworded.
        texts: the transcripts by utterance id.
        tokenize: of the text encoder.

    Attributes:
        synonyms: as given.
        choices: the synonyms of each word of the texts that has some.
    """

    def __init__(
        self,
        synonyms: Synonyms,
        texts: Mapping[str, str],
        tokenize: Callable[[Sequence[str]], list[list[int]]],
    ) -> None:
        self.synonyms = synonyms
        self._texts, self._tokenize = texts, tokenize
        # Looked up once and for all here: workers need no WordNet.
        self.choices = dict(synonyms.thesaurus(words_of(texts.values())))

    def __str__(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in self.synonyms.settings.items())
        n = len(words_of(self._texts.values()))
        return f"synonyms ({settings}) of {len(self.choices)} of {n} different words"

    def text(self, utterance_id: str, epoch: int) -> str:
        """The transcript as this epoch reads it."""
        transcript = self._texts[utterance_id]
        draw = generator(self.synonyms.seed, "augment", epoch, utterance_id, "synonyms")
        # Recognisers of LibriSpeech's kind write capitals only.
        shouted = transcript.isupper()

        def other(match: regex.Match[str]) -> str:
            word = str(match.group())
            choices = self.choices.get(compared(word), ())
            if not choices or (not shouted and _is_name(match)):
                return word
            if draw.uniform() >= self.synonyms.p:
                return word
            return in_case_of(word, choices[int(draw.integers(len(choices)))])

        return str(_WORD.sub(other, transcript))

    def tokens(self, ids: Sequence[str], epoch: int) -> Ragged:
        """Token ids of the reworded transcripts."""
        rows = self._tokenize([self.text(i, epoch) for i in ids])
        return Ragged.pack([torch.tensor(row, dtype=torch.int64) for row in rows])


def words_of(texts: Iterable[str]) -> set[str]:
    """The different words, in small letters."""
    return {compared(word) for text in texts for word in _WORD.findall(text)}


def in_case_of(word: str, other: str) -> str:
    """The other word in capitals where the word is in capitals."""
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


def _is_name(match: regex.Match[str]) -> bool:
    """Whether a word that starts no sentence has a capital, unless it is all capitals."""
    word, before = match.group(), match.string[: match.start()].rstrip(" \"'“‘(-")
    starts = not before or before[-1] in _SENTENCE_ENDS
    return word[0].isupper() and not word.isupper() and not starts
