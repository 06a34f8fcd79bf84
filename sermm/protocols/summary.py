"""What a corpus holds under a protocol: counts, folds and what leaks between their parts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from sermm.core.records import Fold, Reading, Utterance
from sermm.protocols.balance import Balance
from sermm.protocols.folds import grouped, natural
from sermm.protocols.leaks import leaks
from sermm.protocols.protocol import Protocol


def summarise(
    reading: Reading,
    protocol: Protocol,
    folds: Sequence[Fold],
    balance: Balance,
    ids: bool = False,
) -> dict[str, Any]:
    """The corpus after the protocol's selection and label mapping, ready for JSON.

    Args:
        reading: what of the corpus can be used.
        protocol: its classes are the labels counted here.
        folds: all of the protocol.
        balance: of the whole corpus.
        ids: add the ids of each fold's parts.

    Returns:
        `balance`, `utterances`, counts of `labels`, `groups`, `acts` and `speakers`,
        `speakers_by_class`, `folds` (sizes, digest, leaks) and `problems`. Utterances without a
        group or act are not among those counts.

    Raises:
        InputError: the protocol selects nothing.
    """
    chosen = protocol.select(reading.utterances)
    classes = Counter(protocol.targets(chosen).values())
    return {
        "balance": asdict(balance),
        "utterances": len(chosen),
        "labels": {name: classes[name] for name in protocol.classes},
        "groups": _counts(u.group for u in chosen),
        "acts": _counts(u.act for u in chosen),
        "speakers": _counts(u.speaker for u in chosen),
        "speakers_by_class": classes_by_talker(chosen, protocol),
        "folds": [_fold(fold, chosen, ids) for fold in folds],
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


def classes_by_talker(
    utterances: Sequence[Utterance], protocol: Protocol
) -> dict[str, dict[str, int]]:
    """How many utterances of each class each talker says; talkers in natural order."""
    talkers = grouped(protocol.select(utterances), lambda u: u.speaker)
    return {name: _of_classes(said, protocol) for name, said in talkers.items()}


def _of_classes(utterances: Iterable[Utterance], protocol: Protocol) -> dict[str, int]:
    counts = Counter(protocol.labels[u.label] for u in utterances if u.label is not None)
    return {name: counts[name] for name in protocol.classes}


def classes_by_fold(
    reading: Reading, protocol: Protocol, folds: Iterable[Fold]
) -> dict[int, dict[str, int]]:
    """How many utterances of each class each fold tests."""
    by_id = {u.id: u for u in reading.utterances}
    return {f.number: _of_classes((by_id[i] for i in f.test), protocol) for f in folds}


def absent(
    reading: Reading, protocol: Protocol, folds: Iterable[Fold]
) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """The parts that scores are computed on and that lack a class.

    Yields:
        Fold, part (val, test), and the classes that it has no utterance of.
    """
    targets = protocol.targets(reading.utterances)
    for fold in folds:
        for name, part in (("val", fold.val), ("test", fold.test)):
            there = {targets[i] for i in part}
            if part and (lacking := tuple(c for c in protocol.classes if c not in there)):
                yield fold.number, name, lacking


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
