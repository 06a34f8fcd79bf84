"""Which file of a folder is whose: aligners name their files after the audio, in its folders.

The Montreal Forced Aligner mirrors the corpus: of `anna/clip.wav` it makes `anna/clip.TextGrid`,
wherever the corpus begins for it. A corpus's ids may begin elsewhere, or have nothing to do with
the files. So a file belongs to the utterance whose id is its path, else to the one whose id or
audio file ends as it does, folder by folder; the bare name does where nobody else bears it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from sermm.core.errors import InputError
from sermm.core.transcripts import composed

# Folders and name, without the suffix, in Unicode's composed form.
_Name = tuple[str, ...]


class FilesOfUtterances:
    """The files below a folder, at most one an utterance.

    Args:
        folder: where they lie, in any depth.
        suffix: of their names, with the dot, in any case.
        audio: the audio file of every utterance of the corpus by id, also of those that nobody
            asks for: whose a file is says a comparison of all.
        key: the configuration key of the folder, for messages.
    """

    def __init__(self, folder: Path, suffix: str, audio: Mapping[str, Path], key: str) -> None:
        self.folder, self._suffix = folder, suffix
        self._audio = audio
        self._where = f"{key}={folder}"

    @cached_property
    def _files(self) -> dict[str, dict[_Name, Path]]:
        """The files by bare name.

        Raises:
            InputError: there is no folder, no file in it, or none that could be anybody's.
        """
        found: defaultdict[str, dict[_Name, Path]] = defaultdict(dict)
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() == self._suffix.lower() and not path.name.startswith("."):
                name = _name(path.relative_to(self.folder).with_suffix("").as_posix())
                found[name[-1]][name] = path
        if not found:
            what = f"holds no {self._suffix[1:]}" if self.folder.is_dir() else "is no folder"
            raise InputError(
                f"{self._where} {what}; give the folder that the aligner wrote to, with "
                f"<id or path of the audio>{self._suffix} for each utterance"
            )
        if not found.keys() & self._bearers.keys():
            first = min(self._audio)
            raise InputError(
                f"{self._where}: none of its {self._suffix[1:]}s belongs to an utterance of this "
                f"corpus; there is {self._example(found)}, and for {first} one of "
                f"{self._expected(first)} was expected; give the folder that the aligner wrote to"
            )
        return dict(found)

    @cached_property
    def _bearers(self) -> dict[str, set[str]]:
        """Ids by the bare names that their files may have."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for utterance_id in self._audio:
            for name in self._names(utterance_id):
                found[name[-1]].add(utterance_id)
        return found

    def find(self, utterance_id: str) -> tuple[Path, bool] | None:
        """The file of an utterance, and whether it bears the name of its id; None: it has none.

        Raises:
            InputError: it cannot be told which of two files, or of which of two utterances.
        """
        audio = self._audio[utterance_id]
        bare = dict.fromkeys(name[-1] for name in self._names(utterance_id))
        there = {f: p for name in bare for f, p in self._files.get(name, {}).items()}
        owners = {f: self._owners(f) for f in there}
        mine = [f for f in there if utterance_id in owners[f]]
        best = _best({f: self._likeness(utterance_id, f) for f in mine})
        if not best:
            return None
        if len(best) > 1:
            one, other = (there[f] for f in best[:2])
            raise InputError(
                f"{self._where}: {one} or {other} may be that of utterance {utterance_id}; leave "
                f"one of them there, or give them the folders of the audio ({audio})"
            )
        file = best[0]
        if others := [i for i in owners[file] if self._audio[i] != audio]:
            raise InputError(
                f"{self._where}: {there[file]} may be that of utterance {utterance_id} or of "
                f"{others[0]}; give such files the folders of the audio ({audio})"
            )
        return there[file], file[-1] == _name(utterance_id)[-1]

    def _owners(self, file: _Name) -> list[str]:
        """The utterances that a file fits best."""
        return _best({i: self._likeness(i, file) for i in sorted(self._bearers[file[-1]])})

    def missing(self, utterance_id: str) -> str:
        """What to say of an utterance without a file: where it was looked for, what is there."""
        n = sum(map(len, self._files.values()))
        return (
            f"no {self._suffix[1:]}: looked for {self._expected(utterance_id)} below "
            f"{self.folder}, in any folder that no other utterance fits better; {n} are there, "
            f"such as {self._example(self._files)}"
        )

    def _names(self, utterance_id: str) -> Iterator[_Name]:
        yield _name(utterance_id)
        yield _name(self._audio[utterance_id].with_suffix("").as_posix())

    def _likeness(self, utterance_id: str, file: _Name) -> tuple[bool, int]:
        """Whether the file's path is the id, and how many parts from the end are the same."""
        same = max(_same_from_the_end(name, file) for name in self._names(utterance_id))
        return _name(utterance_id) == file, same

    def _expected(self, utterance_id: str) -> str:
        names = dict.fromkeys("/".join(name[-2:]) for name in self._names(utterance_id))
        bare = dict.fromkeys(name[-1] for name in self._names(utterance_id))
        return ", ".join(f"{name}{self._suffix}" for name in {**names, **bare})

    def _example(self, files: Mapping[str, Mapping[_Name, Path]]) -> str:
        first = min(path for same in files.values() for path in same.values())
        return first.relative_to(self.folder).as_posix()


def _name(path: str) -> _Name:
    return tuple(part for part in composed(path).split("/") if part)


def _same_from_the_end(one: _Name, other: _Name) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _best(scores: Mapping[Any, tuple[bool, int]]) -> list[Any]:
    """Those with the highest score."""
    most = max(scores.values(), default=None)
    return [one for one, score in scores.items() if score == most]
