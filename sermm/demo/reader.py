"""The demo corpus: synthetic speech in IEMOCAP's layout, made on first use.

Emotion is in the words and in the voice, each only in a part of the utterances, so that neither
alone suffices. It is there to try every part of the house without a licence; scores on it say
nothing about people.
"""

from functools import cached_property
from pathlib import Path
from typing import Final

from sermm.core.digest import digest, digest_file
from sermm.core.errors import InputError
from sermm.core.files import read_json
from sermm.core.records import Level, Reading, Span, Utterance
from sermm.corpora.iemocap.counts import Counts
from sermm.corpora.iemocap.reader import Iemocap
from sermm.demo.corpus import COUNTS, write_corpus
from sermm.demo.plan import DemoSettings

_DIGITS: Final = 12


class Demo:
    """The demo corpus, written under `root` if it is not there yet.

    Args:
        root: where demo corpora lie, each in a folder named by what it depends on.
        seed: of everything that is drawn; the same seed gives the same files.
        utterances: how many are of the four classes (ang, hap+exc, sad, neu), at least 40; about
            a fifth as many frustrated, undecided and rare ones come on top.
        text_cue: share of the emotional utterances whose words tell the emotion, 0 to 1; the
            others have neutral words.
        speech_cue: how far the voice follows the emotion, 0 (not at all) to 3.
        conflict: share of utterances whose words tell another emotion than the voice; the label
            is the voice's.
        name: name of the corpus in the records.

    Raises:
        InputError: no root, or an option out of its range.
    """

    def __init__(
        self,
        root: str | Path | None,
        seed: int = 0,
        utterances: int = 400,
        text_cue: float = 0.7,
        speech_cue: float = 1.0,
        conflict: float = 0.05,
        name: str = "demo",
    ) -> None:
        if root is None:
            raise InputError(f"corpus {name}: no root is given; set data.root=FOLDER or cache_dir")
        self.name = name
        self._root = Path(root).expanduser()
        # 1 and 1.0 are the same corpus.
        cues = (float(cue) for cue in (text_cue, speech_cue, conflict))
        self._settings = DemoSettings(seed, utterances, *cues)

    @cached_property
    def folder(self) -> Path:
        """Where this corpus lies: named by its options and by the program that writes it."""
        programs = sorted(Path(__file__).parent.glob("*.py"))
        options = [repr(self._settings), *(digest_file(program) for program in programs)]
        return self._root / digest(options)[:_DIGITS]

    def read(self) -> Reading:
        """All utterances; the corpus is written first if need be.

        Raises:
            InputError: the synthesiser is not installed, or the corpus is damaged.
        """
        return self._reader.read()

    def spans(self, utterance: Utterance, level: Level) -> tuple[Span, ...]:
        """The true times of words, syllables or phones; empty for laughter."""
        return self._reader.spans(utterance, level)

    @cached_property
    def _reader(self) -> Iemocap:
        if not self.folder.exists():
            write_corpus(self.folder, self._settings)
        try:
            expected = Counts(**read_json(self.folder / COUNTS))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"corpus {self.name}: {self.folder / COUNTS} cannot be read ({error}); "
                f"remove {self.folder}, and it is written anew"
            ) from error
        return Iemocap(self.folder, name=self.name, expected=expected)
