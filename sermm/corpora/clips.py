"""Corpora whose file names say everything: one clip a file, in any folder below the root."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.files import is_folder
from sermm.core.records import Problem, Reading, Utterance
from sermm.corpora.labels import Codes
from sermm.corpora.places import SUFFIXES

Parse = Callable[[Path], Utterance | Problem | None]
"""The utterance of a file with the corpus's word for its emotion as label; None if the file is
no part of the corpus."""


def read_clips(
    root: Path | None, corpus: str, parse: Parse, labels: Mapping[str, str | None]
) -> Reading:
    """Reads all WAV and FLAC files below `root`, hidden ones (`._*`) aside.

    Args:
        root: the folder of the corpus.
        corpus: its name.
        parse: reads a file's name.
        labels: emotion code by the corpus's word; None = leave unlabelled. A word that is not
            there gives a problem and no label.

    Raises:
        InputError: there is no such folder, or no clip of the corpus in it.
    """
    folder = existing_folder(root, corpus)
    utterances: dict[str, Utterance] = {}
    problems: list[Problem] = []
    rows = 0
    codes = Codes(labels)
    for path in audio_files(folder):
        parsed = parse(path)
        rows += parsed is not None
        if isinstance(parsed, Problem):
            problems.append(parsed)
        elif parsed is not None and parsed.id in utterances:
            problems.append(_duplicate(path, utterances[parsed.id]))
        elif parsed is not None:
            label, trouble = codes.code(parsed.label, where=parsed.id)
            problems += trouble
            utterances[parsed.id] = replace(parsed, label=label)
    if not utterances:
        raise InputError(
            f"data.root={folder}: no clip of corpus {corpus} there ({len(problems)} other WAV or "
            "FLAC files); give the folder of the original download"
        )
    return Reading(tuple(utterances[i] for i in sorted(utterances)), tuple(problems), rows)


def existing_folder(root: Path | None, corpus: str) -> Path:
    """The folder, if it is there.

    Raises:
        InputError: it is not given, or no folder.
    """
    if root is None or not is_folder(root):
        what = "data.root is not given" if root is None else f"data.root={root} is no folder"
        raise InputError(
            f"{what}: say where corpus {corpus} lies, by data.root=FOLDER or in the "
            f"environment by SERMM_{corpus.upper()}"
        )
    return root


def audio_files(folder: Path) -> Iterator[Path]:
    """WAV and FLAC files in any depth, sorted."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            yield path


def unexpected_name(path: Path, expected: str) -> Problem:
    """A file that lies in the corpus but is not named like one of its clips."""
    what = f"the name is not like {expected}; the file is left out"
    return Problem(str(path), what, "unexpected_name")


def _duplicate(path: Path, first: Utterance) -> Problem:
    what = f"the same clip as {first.path}, which is used; this file is left out"
    return Problem(str(path), what, "duplicate_id")
