"""EmoDB, the Berlin Database of Emotional Speech: ten actors, ten sentences, seven emotions.

Source: Burkhardt et al. 2005, Interspeech; licence CC0.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from sermm.core.records import Level, Problem, Reading, Span, Utterance
from sermm.corpora.clips import read_clips, unexpected_name
from sermm.corpora.emodb_labels import label_spans
from sermm.corpora.places import place

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Blatt Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_MALE = ("03", "10", "11", "12", "15")
_FEMALE = ("08", "09", "13", "14", "16")
GENDERS = dict.fromkeys(_MALE, "m") | dict.fromkeys(_FEMALE, "f")

_NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFTN])([a-z]?)")


class EmoDb:
    """Reads `03a01Fa.wav` (or `.flac`): talker, sentence, emotion, version. There are no groups."""

    def __init__(
        self, root: str | Path | int | None, labels: Mapping[str, str | None], name: str = "emodb"
    ) -> None:
        """Stores the settings.

        Args:
            root: the folder of the corpus.
            labels: emotion code by emotion (anger boredom disgust fear happiness sadness
                neutral); None = leave unlabelled.
            name: of the corpus.
        """
        self.root = place(root)
        self.labels = dict(labels)
        self.name = name

    def read(self) -> Reading:
        """All clips.

        Raises:
            InputError: the root is wrong.
        """
        return read_clips(self.root, self.name, self._parse, self.labels)

    def spans(self, utterance: Utterance, level: Level) -> tuple[Span, ...]:
        """The hand labels of phones or syllables; empty where there are none, as for words."""
        return label_spans(utterance.path, utterance.id, level, self.root)

    def _parse(self, path: Path) -> Utterance | Problem:
        match = _NAME.fullmatch(path.stem)
        if match is None or match[2] not in SENTENCES:
            return unexpected_name(path, "03a01Fa")
        talker, sentence, emotion, _ = match.groups()
        return Utterance(
            id=path.stem,
            corpus=self.name,
            path=path,
            label=EMOTIONS[emotion],
            speaker=talker,
            transcript=SENTENCES[sentence],
            gender=GENDERS.get(talker),
        )
