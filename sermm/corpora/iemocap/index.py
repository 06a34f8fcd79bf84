"""Goes through the folders of IEMOCAP once and says what each kind of file names."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sermm.core.records import Problem
from sermm.corpora.iemocap.evaluation import read_evaluation
from sermm.corpora.iemocap.layout import (
    DIALOGUE_ID,
    SESSIONS,
    UTTERANCE_ID,
    Turn,
    dialogue_of,
    dialogue_wav_folder,
    evaluation_folder,
    evaluation_path,
    sentence_folder,
    sentence_path,
    session_of,
    transcription_folder,
    transcription_path,
)
from sermm.corpora.iemocap.transcription import read_transcription


@dataclass(frozen=True)
class Index:
    """What the files of a copy name.

    Attributes:
        evaluated: dialogues that have a label file.
        named: dialogues that any kind of file names.
        turns: label blocks by utterance id.
        transcripts: by utterance id.
        wavs: ids of the utterances that have a wav.
        problems: what could not be read.
    """

    evaluated: frozenset[str]
    named: frozenset[str]
    turns: dict[str, Turn]
    transcripts: dict[str, str]
    wavs: frozenset[str]
    problems: tuple[Problem, ...]

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """All that a turn, a transcript or a wav names, sorted."""
        return tuple(sorted({*self.turns, *self.transcripts, *self.wavs}))

    def positions(self) -> dict[str, int]:
        """Each turn's place in its dialogue by start time, from 0."""
        dialogues: defaultdict[str, list[Turn]] = defaultdict(list)
        for turn in self.turns.values():
            dialogues[dialogue_of(turn.id)].append(turn)
        return {
            turn.id: position
            for turns in dialogues.values()
            for position, turn in enumerate(sorted(turns, key=lambda t: (t.start_s, t.id)))
        }


def index_corpus(root: Path) -> Index:
    """Reads all label and transcript files, and lists the wavs without opening them."""
    turns: dict[str, Turn] = {}
    transcripts: dict[str, str] = {}
    problems: list[Problem] = []
    labelled = _dialogues(root, evaluation_folder, ".txt")
    for dialogue in labelled:
        read, found = read_evaluation(evaluation_path(root, dialogue))
        turns.update((turn.id, turn) for turn in read)
        problems.extend(found)
    transcribed = _dialogues(root, transcription_folder, ".txt")
    for dialogue in transcribed:
        texts, found = read_transcription(transcription_path(root, dialogue))
        transcripts.update(texts)
        problems.extend(found)
    recorded = _dialogues(root, dialogue_wav_folder, ".wav")
    wavs = _wavs(root)
    named = {*labelled, *transcribed, *recorded, *(dialogue_of(name) for name in wavs)}
    return Index(frozenset(labelled), frozenset(named), turns, transcripts, wavs, tuple(problems))


def gaps(root: Path, index: Index) -> tuple[Problem, ...]:
    """What one kind of file names and another lacks; each turn that is left out is among these."""
    problems = [
        Problem(name, f"no label file {evaluation_path(root, name)}", "missing_dialogue", kept=True)
        for name in sorted(index.named - index.evaluated)
    ]
    for name in index.ids:
        if name not in index.turns:
            what = f"no turn in {evaluation_path(root, dialogue_of(name))}: left out"
            problems.append(Problem(name, what, "missing_evaluation"))
        elif name not in index.wavs:
            what = f"no wav {sentence_path(root, name)}: left out"
            problems.append(Problem(name, what, "missing_wav"))
        elif name not in index.transcripts:
            what = f"no line in {transcription_path(root, dialogue_of(name))}: kept without text"
            problems.append(Problem(name, what, "missing_text", kept=True))
    return tuple(problems)


def _dialogues(root: Path, folder_of: Callable[[Path, str], Path], suffix: str) -> list[str]:
    """The dialogues that have a file of this kind, sorted; `._Ses*` and strangers do not count."""
    found: set[str] = set()
    for session in SESSIONS:
        stems = _stems(folder_of(root, session), suffix)
        found.update(stem for stem in stems if _is_dialogue(stem, session))
    return sorted(found)


def _wavs(root: Path) -> frozenset[str]:
    # Listing the folders is much cheaper than asking for each of 10,039 files.
    found: set[str] = set()
    for session in SESSIONS:
        folder = sentence_folder(root, session)
        for dialogue in _stems(folder, ""):
            if _is_dialogue(dialogue, session):
                stems = _stems(folder / dialogue, ".wav")
                found.update(stem for stem in stems if _is_utterance(stem, dialogue))
    return frozenset(found)


def _is_dialogue(name: str, session: str) -> bool:
    return bool(DIALOGUE_ID.fullmatch(name)) and session_of(name) == session


def _is_utterance(name: str, dialogue: str) -> bool:
    return bool(UTTERANCE_ID.fullmatch(name)) and dialogue_of(name) == dialogue


def _stems(folder: Path, suffix: str) -> list[str]:
    """Names in a folder that end in `suffix`, without it; none if there is no such folder."""
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir())
    return [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
