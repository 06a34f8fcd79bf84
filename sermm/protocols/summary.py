"""What a corpus holds under a protocol: counts, folds and what leaks between their parts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from sermm.core.records import Fold, Reading, Utterance
from sermm.protocols.folds import natural
from sermm.protocols.leaks import leaks
from sermm.protocols.protocol import Protocol


def summarise(reading: Reading, protocol: Protocol, seed: int, ids: bool = False) -> dict[str, Any]:
    """The corpus after the protocol's selection and label mapping, ready for JSON.

    Args:
        reading: of the corpus.
        protocol: its classes are the labels counted here.
        seed: for protocols that draw at random.
        ids: add the ids of each fold's parts.

    Returns:
        `utterances`, counts of `labels`, `groups`, `acts` and `speakers`, `folds` (sizes, digest,
        leaks) and `problems`. Utterances without a group or act are not among those counts.

    Raises:
        InputError: the protocol does not fit the corpus.
    """
    chosen = protocol.select(reading.utterances)
    classes = Counter(protocol.targets(chosen).values())
    return {
        "utterances": len(chosen),
        "labels": {name: classes[name] for name in protocol.classes},
        "groups": _counts(u.group for u in chosen),
        "acts": _counts(u.act for u in chosen),
        "speakers": _counts(u.speaker for u in chosen),
        "folds": [_fold(fold, chosen, ids) for fold in protocol.folds(chosen, seed)],
        "problems": [asdict(problem) for problem in reading.problems],
    }


def _counts(names: Iterable[str | None]) -> dict[str, int]:
    counts = Counter(name for name in names if name is not None)
    return {name: counts[name] for name in sorted(counts, key=natural)}


def _fold(fold: Fold, utterances: Sequence[Utterance], ids: bool) -> dict[str, Any]:
    parts = {"train": fold.train, "val": fold.val, "test": fold.test}
    shared = leaks(fold, utterances)
    return {
        "fold": fold.number,
        **{name: len(part) for name, part in parts.items()},
        "digest": fold.digest,
        "leaks": {
            "speakers": shared.speakers,
            "dialogues": shared.dialogues,
            "transcripts": shared.transcripts,
        },
        **({f"{name}_ids": list(part) for name, part in parts.items()} if ids else {}),
    }


def classes_by_fold(reading: Reading, protocol: Protocol, seed: int) -> dict[int, dict[str, int]]:
    """How many utterances of each class each fold tests."""
    targets = protocol.targets(reading.utterances)
    table = {}
    for fold in protocol.folds(reading.utterances, seed):
        counts = Counter(targets[i] for i in fold.test)
        table[fold.number] = {name: counts[name] for name in protocol.classes}
    return table


def length_s(
    reading: Reading, protocol: Protocol, durations: Mapping[str, float]
) -> dict[str, float]:
    """Total, shortest, median and longest duration in seconds of what the protocol selects.

    Returns:
        Nothing if no duration is known.
    """
    chosen = protocol.select(reading.utterances)
    known = [durations[u.id] for u in chosen if u.id in durations]
    if not known:
        return {}
    return {
        "total": sum(known),
        "shortest": min(known),
        "median": median(known),
        "longest": max(known),
    }
