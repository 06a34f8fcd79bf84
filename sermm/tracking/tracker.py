"""Experiment trackers beside the run folder, which stays the record.

A tracker is told what the files of the run folder say, once an epoch and at the end: deleting all
that it wrote loses nothing, and nothing that befalls it stops or changes a run.

It is told all epochs each time, not the last one: after an interruption, or when a server was away,
it takes those that it has not got. A tracker of another kind is a subclass of `Tracker` and a file
`conf/logger/<name>.yaml`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from sermm.configuration.identity import system_key
from sermm.configuration.verbs import RunConfig
from sermm.core.records import Utterance
from sermm.runs.metrics import EPOCH, Figures
from sermm.runs.result import Result
from sermm.tracking.systems import system_label

# How a run ends for a tracker; untracked: the run goes on, and is not told any more.
State = Literal["finished", "failed", "preempted", "cancelled", "interrupted", "untracked"]


@dataclass(frozen=True)
class Begun:
    """What a tracker is told of a run that begins, or goes on.

    Attributes:
        config: resolved.
        folder: of the run; what a tracker keeps on disk lies in it, or is removed with it.
        settings: what was typed, less fold, seed and study.
    """

    config: RunConfig
    folder: Path
    settings: Mapping[str, str]

    @cached_property
    def system(self) -> str:
        """The digest of its system, that of its row in a report."""
        return system_key(self.config)

    @cached_property
    def label(self) -> str:
        """What its system is called: the same for all folds and seeds, and for no other system."""
        name = self.config.model.name
        return system_label(self.folder.parent, self.system, name, self.settings)


@dataclass(frozen=True)
class Stop:
    """How a run ended, and why if it did not finish, in one line."""

    state: State
    reason: str = ""


@dataclass(frozen=True)
class Ended:
    """What a tracker is told of a finished run.

    Attributes:
        result: what it came to.
        epochs: figures of all epochs, by name.
        predictions: its rows, as text: of each utterance of both parts `utterance_id`, `split`,
            `label`, `predicted` and `p_<class>`.
        utterances: by id, for those who want to hear them.
    """

    result: Result
    epochs: Sequence[Figures]
    predictions: Sequence[Mapping[str, str]]
    utterances: Mapping[str, Utterance]

    @property
    def chosen(self) -> Figures:
        """The figures of the chosen epoch; none where nothing was trained by epochs."""
        best = self.result.epochs.best
        return next((row for row in self.epochs if row[EPOCH] == best), {})

    def part(self, split: str) -> list[Mapping[str, str]]:
        """The predictions of one part."""
        return [row for row in self.predictions if row["split"] == split]


class Tracker:
    """Tells nobody anything (`logger=none`); what others do is below.

    Calls come in this order: `start`, `epochs` any number of times, `finished` if the run did,
    `stop`. Whatever one of them raises ends the tracking of this run (`Watched`).
    """

    def start(self, begun: Begun) -> None:
        """Begins, or goes on with, the record of a run."""

    def epochs(self, rows: Sequence[Figures]) -> None:
        """Takes all epochs so far, those that it has been told before too.

        Args:
            rows: figures by name, `epoch` (from 1) among them.
        """

    def finished(self, ended: Ended) -> None:
        """Takes what the run came to."""

    def leaving(self) -> None:
        """The run's job goes back into the queue, and this process may be killed at any moment."""

    def stop(self, stop: Stop) -> None:
        """The run is over."""


def since(rows: Sequence[Figures], step: int) -> list[tuple[int, Figures]]:
    """The epochs from `step` on, with their numbers.

    Args:
        rows: of all epochs so far.
        step: number of an epoch, from 1.
    """
    numbered = [(int(row[EPOCH]), row) for row in rows]
    return [(epoch, row) for epoch, row in numbered if epoch >= step]
