"""RAVDESS, speech part: 24 actors say two sentences in eight emotions.

Source: Livingstone and Russo 2018, PLoS ONE 13(5); licence CC BY-NC-SA 4.0.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from sermm.core.records import Problem, Reading, Utterance
from sermm.corpora.clips import read_clips, unexpected_name
from sermm.corpora.places import place

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}

# modality, channel, emotion, intensity, statement, repetition, actor
_NAME = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)")


class Ravdess:
    """Reads `03-01-EE-II-SS-RR-AA.wav` (or `.flac`), in folders `Actor_*` or in one.

    Modality 03 (audio only) and channel 01 (speech) are the corpus; songs and films beside them
    are passed over. The talker is the actor; odd actors are male. There are no groups.
    """

    def __init__(
        self, root: str | Path | int | None, labels: Mapping[str, str | None], name: str = "ravdess"
    ) -> None:
        """Stores the settings.

        Args:
            root: the folder of the corpus.
            labels: emotion code by emotion (neutral calm happy sad angry fearful disgust
                surprised); None = leave unlabelled.
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

    def _parse(self, path: Path) -> Utterance | Problem | None:
        match = _NAME.fullmatch(path.stem)
        if match is None:
            return unexpected_name(path, "03-01-05-01-01-01-16")
        modality, channel, emotion, _, statement, _, actor = match.groups()
        if (modality, channel) != ("03", "01"):
            return None
        return Utterance(
            id=path.stem,
            corpus=self.name,
            path=path,
            label=EMOTIONS[emotion],
            speaker=actor,
            transcript=STATEMENTS[statement],
            gender="m" if int(actor) % 2 else "f",
        )
