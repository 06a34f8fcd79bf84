"""`result.json`: what a run or a combination came to; one record that all write and read.

`sermm.engine.record` makes it of a trained run and `sermm.engine.combination.record` of several;
the report, the trackers and all verbs that go on from a run (`predict`, `explain`, `combine`) read
it. It holds all that a table needs, so that the report composes no configuration and loads no
weights. The names of the fields are those of the file; other programs rely on them.
"""

import shlex
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from sermm.core.damage import damaged
from sermm.core.errors import InputError
from sermm.core.files import write_json
from sermm.metrics.names import METRICS
from sermm.runs.fields import record
from sermm.runs.layout import FORMAT, RESULT, format_of, read_object
from sermm.runs.setup import Setup

# Format 0 did not say what a floor is; these were all there were.
_FLOORS_OF_FORMAT_0 = ("majority", "lookup")
# More than any protocol has; a damaged number must not make a report count for ever.
_MOST_FOLDS = 100_000
# What a file has only where there is such a thing.
_ONLY_IF_THERE = (
    "distillation", "experiment", "other_epoch", "parts", "part_predictions", "weights",
    "temperatures", "withheld",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameters:
    """Numbers of parameters.

    Attributes:
        total: of the whole system, encoders whose states are stored included.
        trainable: those that training changes.
        head: all but the encoders; None in runs of older versions, whose `total` is without stored
            encoders.
    """

    total: int
    trainable: int
    head: int | None = None


@dataclass(frozen=True, slots=True)
class Seconds:
    """What it took; None where a run, or a part of a combination, does not say."""

    train: float | None = None
    predict: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What predicting one utterance at a time takes.

    Attributes:
        device: what the hardware calls itself.
        threads: that torch may use.
        features: the run's `features.mode`; "cached" is without the encoders.
        ms_per_sample: median over the utterances.
        utterances: how many were predicted.
        peak_memory_gb: 10^9 bytes; None where the system does not tell.
    """

    device: str
    precision: str
    features: str
    threads: int
    utterances: int
    ms_per_sample: float
    peak_memory_gb: float | None


@dataclass(frozen=True, slots=True)
class Epochs:
    """Numbers of the chosen and of the last epoch, from 1; None for combinations."""

    best: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class OtherEpoch:
    """The epoch that validation chose, of a run that is scored with its last one.

    Attributes:
        epoch: its number, from 1; it may be the last one, too.
        selection: what chose it.
        metrics: as `Result.metrics`, by the weights of that epoch.
    """

    epoch: int
    selection: str
    metrics: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Overfit:
    """How much better training goes than validation at the chosen epoch; None = unknown."""

    wa_ratio: float | None = None
    loss_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Teacher:
    """The run that taught this one by distillation; `ua` of its test part, a fraction."""

    key: str
    model: str
    variant: str
    parameters: Parameters
    ua: float


@dataclass(frozen=True, slots=True)
class Published:
    """A figure of a paper: `value` in percent, `protocol` by our name.

    Attributes:
        source: the paper, "Bian 2024".
        metric: one of `sermm.metrics.names.METRICS`.
        data: the corpus that it is of.
        note: what a reader should know of it.
        setup: what the paper's system was run with (`sermm.runs.setup`); None: not declared.
    """

    source: str
    metric: str
    value: float
    protocol: str
    data: str = "iemocap"
    note: str = ""
    setup: dict[str, Any] | None = None

    @classmethod
    def of(cls, found: Any) -> "Published":
        """Takes it from a configuration.

        Raises:
            InputError: a field is missing or is of another type.
        """
        return record(cls, found, "a figure of model.published")


@dataclass(frozen=True, slots=True)
class Counts:
    """Utterances of the parts, those cut at `trainer.max_seconds`, and problems of the corpus.

    `cut_texts` are those whose text is cut at `encoder.text.max_tokens`. The report compares `test`
    with the rows of `predictions.csv`.
    """

    train: int
    val: int
    test: int
    cut: int | None = None
    cut_texts: int | None = None
    problems: int | None = None


@dataclass(frozen=True, slots=True)
class Git:
    """The commit, and the digest of what is not committed; all None outside a checkout.

    Runs of one commit with the same `diff` come from the same code.
    """

    commit: str | None = None
    dirty: bool | None = None
    diff: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run or a combination of runs came to.

    Attributes:
        system: digest of the configuration without fold and seed; identifies a row.
        model: the name of its configuration; of a combination, the name that it was given.
        floor: it is what systems must beat, not one of them.
        variant: what it is in the terms of a paper: the model, and its streams where they vary.
        settings: the user's overrides without fold, seed and study.
        setup: encoders and recipe; one for a run, one for each part of a combination, none in runs
            of older versions.
        experiment: the one that it was made for, such as `zhao2022/table2`; None: for none.
        headline: the metric that the protocol is judged by.
        balance: of the rows of the corpus (`sermm.protocols.balance`); None for older runs.
        metrics: fractions by name: `test/ua`, `val/recall_ang`; None for a class without examples.
        cost: None for floors, combinations, and runs of older versions.
        selection: what chose the epoch: "val", "last", or "test" (a paper's own fault).
        other_epoch: what validation's choice comes to, where the last epoch is scored though there
            is one (`trainer.test_epoch=last`).
        withheld: the test part was neither predicted nor kept, as of a search's trials.
        text_source: where texts come from, for people; None for what reads none. The record beside
            it has that in full.
        features, augment, remedies: the settings that were on; None for combinations.
        unit_sources: how many utterances have their units from where, by level.
        published: figures of papers.
        papers: whole tables of papers in which the variant has a cell, as
            `sermm.runs.reading.papers.PaperTable` describes them.
        curves: figures by epoch that papers print of the model, as
            `sermm.runs.reading.paper_curves.PaperCurve` describes them.
        parts: the keys of the runs that a combination is of; None for a run.
        part_predictions: digests of the predictions that it was made of.
        weights: of the parts.
        temperatures: that the logits of the parts were divided by; None where they were not.
        format: of the file that it comes from, see `sermm.runs.layout`.
    """

    key: str
    study: str
    system: str
    model: str
    floor: bool
    variant: str
    parts: tuple[str, ...] | None = None
    part_predictions: tuple[str, ...] | None = None
    weights: tuple[float, ...] | None = None
    temperatures: tuple[float, ...] | None = None
    settings: dict[str, Any]
    setup: tuple[Setup, ...] = ()
    experiment: str | None = None
    data: str
    protocol: str
    protocol_notes: str
    leaky: bool
    headline: str
    classes: tuple[str, ...]
    fold: int
    n_folds: int
    seed: int
    split_digest: str
    balance: dict[str, Any] | None = None
    metrics: dict[str, float | None]
    parameters: Parameters
    seconds: Seconds
    cost: Cost | None = None
    epochs: Epochs
    overfit: Overfit | None = None
    selection: str
    other_epoch: OtherEpoch | None = None
    withheld: bool = False
    text_source: str | None
    text_source_record: dict[str, Any] | None = None
    features: dict[str, Any] | None = None
    augment: dict[str, Any] | None = None
    remedies: dict[str, Any] | None = None
    teacher: Teacher | None = None
    distillation: dict[str, Any] | None = None
    unit_sources: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...]
    published: tuple[Published, ...]
    papers: list[Any]
    curves: list[Any]
    counts: Counts
    versions: dict[str, str]
    git: Git
    format: int = FORMAT

    @property
    def place(self) -> str:
        """Corpus, protocol, fold and seed, for people."""
        return f"{self.data}, {self.protocol}, fold {self.fold}, seed {self.seed}"

    @property
    def test_ua(self) -> float:
        """UA on the test part, which every run has that does not withhold it; a fraction.

        Raises:
            ValueError: this one has none.
        """
        ua = self.metrics.get("test/ua")
        if ua is None:
            raise ValueError(f"run {self.key} has no UA on its test part")
        return ua

    @property
    def untested(self) -> tuple[str, ...]:
        """The classes that the test part has no utterance of: no part of its UA."""
        if self.withheld:
            return ()
        recalls = {name: f"test/recall_{name}" for name in self.classes}
        return tuple(name for name, key in recalls.items() if self.metrics.get(key, key) is None)

    @property
    def val_ua(self) -> float | None:
        """Validation UA; None without a validation part."""
        return self.metrics.get("val/ua")

    def refuse_withheld(self, wanted: str) -> None:
        """Finds a run that says nothing of its test part, where that is wanted.

        Args:
            wanted: what is to be done with it, for the message.

        Raises:
            InputError: it withholds it.
        """
        if self.withheld:
            raise InputError(
                f"{wanted}: run {self.key} is a trial of a search (withhold_test=true), and its "
                "test part is never looked at; train what was chosen by the command that "
                f"`sermm report {shlex.quote(self.study)}` prints"
            )

    @classmethod
    def read(cls, folder: Path) -> "Result":
        """Reads the result of a run folder; one of an older format gets what it lacks.

        Args:
            folder: of the run.

        Raises:
            FileNotFoundError: it has none.
            InputError: the file is damaged, or of a newer format.
        """
        path = folder / RESULT
        found = read_object(path)
        version = format_of(found)
        if version == 0:
            found = {**found, "floor": found.get("model") in _FLOORS_OF_FORMAT_0}
        try:
            result = record(cls, {**found, "format": version}, RESULT)
        except InputError as error:
            raise damaged(path, str(error)) from error
        if result.headline not in METRICS:
            raise damaged(path, f"headline is {result.headline!r}, not in {METRICS}")
        folds = (result.fold, result.n_folds)
        if not all(0 < n < _MOST_FOLDS for n in folds) or not 0 <= result.seed < 2**63:
            raise damaged(
                path, f"fold {result.fold} of {result.n_folds}, seed {result.seed} cannot be"
            )
        return result

    def write(self, folder: Path) -> None:
        """Writes it into a run folder, whole or not at all."""
        write_json(folder / RESULT, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The fields as `result.json` has them; most that are None are there as null.

        A few are left out instead, as they would say nothing of most runs.
        """
        found = {one.name: _as_json(getattr(self, one.name)) for one in fields(self)}
        return {k: v for k, v in found.items() if k not in _ONLY_IF_THERE or v not in (None, False)}


def _as_json(value: Any) -> Any:
    """Records as objects, tuples as lists; what is JSON already is not copied."""
    if isinstance(value, tuple):
        return [_as_json(one) for one in value]
    if not is_dataclass(value):
        return value
    return {one.name: _as_json(getattr(value, one.name)) for one in fields(value)}
