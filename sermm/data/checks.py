"""Decodes every utterance once, so that bad audio is known before training starts."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from sermm.core.files import read_json, write_json
from sermm.core.progress import Progress
from sermm.core.records import Problem, Utterance
from sermm.data.audio import AudioError, Measured, measure
from sermm.data.audio_flaws import Flaw

# Raise it when the rules of `sermm.data.audio` change, what counts as a flaw among them: earlier
# verdicts no longer count.
_VERSION = 3


class Verdict(NamedTuple):
    """What decoding one span said: its length in seconds, or what is wrong with it.

    Attributes:
        size: bytes of the file then; with `mtime_ns` it tells whether the file has changed.
        mtime_ns: time of its last change.
        seconds: length of the span; None if it cannot be used.
        digest: of its samples.
        flaws: what is wrong with it that can be used.
        kind: the slug of the error, "" if there is none; `what` is its message.
    """

    size: int
    mtime_ns: int
    seconds: float | None
    digest: str = ""
    flaws: Sequence[Flaw] = ()
    kind: str = ""
    what: str = ""


def check(
    utterances: Iterable[Utterance], cache_dir: Path
) -> tuple[dict[str, Measured], tuple[Problem, ...]]:
    """Length and digest of every usable utterance by id, and what is wrong with any of them.

    Verdicts are kept in `cache_dir/audio-checks/<corpus>.json`; a file is decoded again only if
    its size or its modification time has changed.

    Args:
        utterances: of one or several corpora; ids must be unique.
        cache_dir: where verdicts are kept.

    Returns:
        What is usable, and the problems: one for each utterance that is not, and those of
        utterances that are (`Problem.kept`).
    """
    by_corpus: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_corpus.setdefault(utterance.corpus, []).append(utterance)
    good: dict[str, Measured] = {}
    problems: list[Problem] = []
    for corpus, members in by_corpus.items():
        store = cache_dir / "audio-checks" / (re.sub(r"[^\w.-]", "_", corpus) + ".json")
        for utterance, verdict in zip(members, _verdicts(members, store), strict=True):
            if verdict.seconds is None:
                problems.append(Problem(utterance.id, verdict.what, verdict.kind))
                continue
            good[utterance.id] = Measured(verdict.seconds, verdict.digest, tuple(verdict.flaws))
            problems += [
                Problem(utterance.id, flaw.what, flaw.kind, kept=True) for flaw in verdict.flaws
            ]
    return good, tuple(problems)


def _verdicts(members: Sequence[Utterance], store: Path) -> list[Verdict]:
    """The verdict on each utterance, from the store where the file is still the same."""
    known = _read_store(store)
    stamps = _stamps({utterance.path for utterance in members})
    todo = {
        _key(utterance): utterance
        for utterance in members
        if known.get(_key(utterance), (None, None))[:2] != stamps[utterance.path]
    }
    if todo:
        try:
            for key, verdict in _decode_all(todo, stamps):
                known[key] = verdict
        finally:
            _write_store(store, known)
    return [known[_key(utterance)] for utterance in members]


def _decode_all(
    todo: dict[str, Utterance], stamps: dict[Path, tuple[int, int]]
) -> Iterator[tuple[str, Verdict]]:
    """Decodes in threads (libsndfile works without the interpreter's lock)."""
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        futures = {
            pool.submit(_decode, utterance, stamps[utterance.path]): key
            for key, utterance in todo.items()
        }
        with Progress("Checking audio", len(futures), "clip") as progress:
            for future in as_completed(futures):
                yield futures[future], future.result()
                progress.advance()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(utterance: Utterance, stamp: tuple[int, int]) -> Verdict:
    try:
        measured = measure(utterance.path, utterance.start_s, utterance.end_s)
    except AudioError as error:
        return Verdict(*stamp, None, kind=error.kind, what=str(error))
    return Verdict(*stamp, measured.seconds, measured.digest, measured.flaws)


def _key(utterance: Utterance) -> str:
    return f"{utterance.path}|{utterance.start_s}|{utterance.end_s}"


def _stamps(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Size and modification time of each file; a missing one has a stamp of its own."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _read_store(store: Path) -> dict[str, Verdict]:
    """Earlier verdicts; none if the store is absent, damaged or of another version."""
    try:
        content = read_json(store)
        if content["version"] == _VERSION:
            return {key: _verdict(row) for key, row in content["verdicts"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {}


def _verdict(row: Sequence[Any]) -> Verdict:
    """Takes a verdict from its row in the store."""
    verdict = Verdict(*row)
    return verdict._replace(flaws=tuple(Flaw(*flaw) for flaw in verdict.flaws))


def _write_store(store: Path, known: dict[str, Verdict]) -> None:
    """Keeps verdicts on files that were there: a missing file is looked for every time."""
    kept = {key: list(verdict) for key, verdict in known.items() if verdict.size >= 0}
    write_json(store, {"version": _VERSION, "verdicts": kept})
