"""Finished runs as parts of a combination, and whether they fit together.

An average of logits means something only where every part answered the same question: the same
utterances, labels, classes, fold and seed, and the same division, so that nobody was trained on
what another is tested on. `Plan.checked` refuses everything else by name before anything is
written.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from sermm.configuration.models import model_names
from sermm.core.damage import damaged
from sermm.core.digest import digest, digest_file
from sermm.core.errors import InputError
from sermm.engine.combination.logits import temperature
from sermm.runs.folder import RunFolder
from sermm.runs.layout import PREDICTIONS
from sermm.runs.predictions import Row
from sermm.runs.reading.predictions import as_rows, read_predictions, refuse_incomplete
from sermm.runs.result import Result

Scale = Literal["raw", "calibrated"]
SAME = ("data", "protocol", "classes", "seed", "fold", "split_digest")


@dataclass(frozen=True, eq=False)
class Part:
    """A finished run as a part of a combination.

    Attributes:
        folder: of the run.
        result: what it came to.
        rows: its predictions by utterance id.
        digest: of the file that has them.
    """

    folder: Path
    result: Result
    rows: dict[str, Row]
    digest: str

    def ids(self, split: str) -> list[str]:
        """The utterances of a split, sorted."""
        return sorted(i for i, row in self.rows.items() if row["split"] == split)

    def labels(self, ids: Sequence[str]) -> Int[np.ndarray, " n"]:
        """The class of each utterance, by its number."""
        classes = {name: number for number, name in enumerate(self.result.classes)}
        return np.array([classes[self.rows[i]["label"]] for i in ids], dtype=np.int64)

    def probabilities(self, ids: Sequence[str]) -> Float[np.ndarray, "n k"]:
        """Those of these utterances, in their order.

        Raises:
            InputError: what stands in the file is none.
        """
        columns = [f"p_{c}" for c in self.result.classes]
        for i in ids:
            values = [self.rows[i][column] for column in columns]
            if not all(map(_is_probability, values)):
                raise damaged(
                    self.folder / PREDICTIONS, f"the probabilities of utterance {i} are {values}"
                )
        return np.array([[float(self.rows[i][c]) for c in columns] for i in ids])


def _is_probability(text: str) -> bool:
    """Whether a cell of the file is one; a rounded 1 may be a little above it."""
    try:
        return 0 <= float(text) <= 1 + 1e-6
    except ValueError:
        return False


def read_part(folder: Path) -> Part:
    """Reads a run folder.

    Args:
        folder: of the run.

    Raises:
        InputError: it is not finished, or a file is broken.
    """
    result = RunFolder(folder).finished()
    result.refuse_withheld(f"cannot combine {folder}")
    try:
        found = as_rows(read_predictions(folder, result.classes))
        digest_of_file = digest_file(folder / PREDICTIONS)
    except OSError as error:
        raise damaged(folder / PREDICTIONS, "it is not there") from error
    tests = sum(row["split"] == "test" for row in found)
    refuse_incomplete(tests, result.counts.test, folder)
    return Part(folder, result, {row["utterance_id"]: row for row in found}, digest_of_file)


def described(result: Result) -> str:
    """A run in words, for messages: its model, corpus, protocol, fold and seed."""
    return f"{result.model} on {result.place}"


@dataclass(frozen=True)
class Plan:
    """A combination that can be made: its parts are of one fold, and predicted the same.

    Attributes:
        parts: two or more; in another order it is the same combination.
        weights: of the parts; only their ratios matter.
        name: stands where a run has the name of its model.
        scale: of the logits: "raw", as the systems have them, or "calibrated", each divided by its
            temperature.
    """

    parts: tuple[Part, ...]
    weights: tuple[float, ...]
    name: str
    scale: Scale = "raw"

    @classmethod
    def checked(
        cls, parts: Sequence[Part], weights: Sequence[float], name: str, scale: Scale = "raw"
    ) -> "Plan":
        """Makes a plan of parts that fit.

        Args:
            parts: the runs.
            weights: one for each, above 0.
            name: of the combination; it becomes a row of tables, so no model may have it.
            scale: of the logits.

        Raises:
            InputError: fewer than two parts, a part twice, weights or a name that cannot be,
                parts of different corpora, protocols, classes, seeds, folds or utterances, or no
                validation part to calibrate them on.
        """
        keys = [part.result.key for part in parts]
        if len(keys) < 2 or len(set(keys)) < len(keys):
            raise InputError(f"a combination needs two or more different runs, got {keys}")
        if len(weights) != len(parts) or not all(math.isfinite(w) and w > 0 for w in weights):
            raise InputError(
                f"weights must be {len(parts)} numbers above 0, one for each part, got "
                f"{list(weights)}"
            )
        if name in model_names() or not name.replace("-", "_").isidentifier():
            raise InputError(
                f"name={name!r} cannot name a combination: expected a letter, then letters, "
                "digits, _ and -, and no model's name (conf/model)"
            )
        for other in parts[1:]:
            _refuse_unlike(parts[0], other)
            _refuse_other_utterances(parts[0], other)
        if scale == "calibrated" and not parts[0].ids("val"):
            raise InputError(
                f"scale=calibrated fits temperatures to validation predictions, and "
                f"{parts[0].folder} has none ({described(parts[0].result)}: no validation part, or "
                "none beside its test part); use scale=raw, or a protocol with one"
            )
        return cls(tuple(parts), tuple(weights), name, scale)

    @cached_property
    def temperatures(self) -> tuple[float, ...] | None:
        """Of each part on its own scale; None where the logits stay as they are."""
        return fitted(self.parts) if self.scale == "calibrated" else None

    @property
    def key(self) -> str:
        """Names the run folder; the order of the parts and the scale of the weights are alike."""
        return self._digest([part.result.key for part in self.parts])

    @property
    def system(self) -> str:
        """The same without fold and seed: combinations that share it are one row of a table."""
        return self._digest([part.result.system for part in self.parts])

    def _digest(self, parts: Sequence[str]) -> str:
        """Of the parts with their shares, rounded so that 1, 1 and 0.1, 0.1 are the same."""
        shares = (round(w / sum(self.weights), 12) for w in self.weights)
        pairs = sorted(zip(parts, shares, strict=True))
        of: dict[str, object] = {"combination": [list(pair) for pair in pairs], "name": self.name}
        return digest(of if self.scale == "raw" else {**of, "scale": self.scale})[:16]


def fitted(parts: Sequence[Part]) -> tuple[float, ...]:
    """The temperature of each part, by its validation predictions; they are not empty."""
    ids = parts[0].ids("val")
    return tuple(temperature(part.probabilities(ids), part.labels(ids)) for part in parts)


def _refuse_unlike(a: Part, b: Part) -> None:
    """Finds what two runs must have in common and have not.

    Raises:
        InputError: says what it is, of both, and how such runs are called.
    """
    for name in SAME:
        ours, theirs = getattr(a.result, name), getattr(b.result, name)
        if ours != theirs:
            what = "the fold's utterances (split_digest)" if name == "split_digest" else name
            raise InputError(
                f"cannot combine {a.folder} ({described(a.result)}) with {b.folder} "
                f"({described(b.result)}): they differ in {what}, {ours} and {theirs}; combine "
                "runs of the same corpus, protocol, fold and seed"
            )


def _refuse_other_utterances(a: Part, b: Part) -> None:
    """Finds utterances that only one of two runs predicted, and rows that differ in part or label.

    Equal digests of the split should rule both out; files that were edited, or written by other
    code, may differ all the same.

    Raises:
        InputError: names utterances and the run that should be run again.
    """
    for one, other in ((a, b), (b, a)):
        if lacking := sorted(set(one.rows) - set(other.rows)):
            raise InputError(
                f"{other.folder} has no prediction for {len(lacking)} utterances of "
                f"{one.folder}: {', '.join(lacking[:5])}; run it again"
            )
    for i, row in a.rows.items():
        for column in ("split", "label"):
            if row[column] != b.rows[i][column]:
                raise InputError(
                    f"utterance {i}: its {column} is {row[column]} in {a.folder} and "
                    f"{b.rows[i][column]} in {b.folder}; run the older one again"
                )
