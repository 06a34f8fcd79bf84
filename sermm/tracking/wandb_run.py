"""Weights & Biases: one W&B run for each run folder, online where there is a key.

The summary is of the chosen epoch, and that only once it has been chosen: what W&B takes from the
last epoch by itself is switched off, and stands there as `last/...`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import wandb

from sermm.core.records import Utterance
from sermm.data.audio import SAMPLE_RATE_HZ, load
from sermm.runs.metrics import Figures
from sermm.tracking import names as tracked
from sermm.tracking.artifact import artifact
from sermm.tracking.tracker import Begun, Ended, Stop, Tracker, since
from sermm.tracking.wandb_record import Record, begin, staged

# What W&B takes, in characters.
LONGEST_TAG = 64
LONGEST_PROJECT = 128
LONGEST_GROUP = 128
LONGEST_NAME = 128
# Exit statuses: W&B calls a run killed by the second, and preempted by any but 0 once it was told.
FAILED, KILLED = 1, 255


class Wandb(Tracker):
    """`logger=wandb`.

    Args:
        project: of W&B.
        entity: user or team; None = the default.
        audio: put the sound of every utterance into the prediction table. Off by default: licences
            of corpora forbid it.
        artifact: keep the finished model in W&B, as a folder that `sermm predict` takes.
    """

    def __init__(
        self,
        project: str,
        entity: str | None = None,
        audio: bool = False,
        artifact: bool = False,
    ) -> None:
        self.project = project_name(project)
        self.entity = entity
        self.audio = audio
        self.artifact = artifact
        self._record: Record | None = None

    @property
    def _begun(self) -> Record:
        if self._record is None:
            raise RuntimeError("W&B was told of a run that has not begun")
        return self._record

    def start(self, begun: Begun) -> None:
        """Begins the W&B run whose id is the run key; its configuration is complete at once."""
        config, key = begun.config, begun.folder.name
        self._record = begin(
            begun.folder,
            project=self.project,
            entity=self.entity,
            id=key,
            name=tracked.run_name(begun, LONGEST_NAME),
            group=tracked.group(begun, LONGEST_GROUP),
            job_type=f"fold{config.fold}",
            tags=[tag[:LONGEST_TAG] for tag in tracked.tags(config)],
            config=tracked.config_of(begun),
        )
        self._record.run.summary.update({tracked.STATUS: "running", tracked.REASON: ""})

    def epochs(self, rows: Sequence[Figures]) -> None:
        """Tells the epochs that W&B has not got."""
        for epoch, row in since(rows, self._begun.next_step):
            self._begun.define(row)
            self._begun.log(row, epoch)
        if rows:
            last = {f"{tracked.LAST}{name}": value for name, value in rows[-1].items()}
            self._begun.run.summary.update(last)

    def finished(self, ended: Ended) -> None:
        """Confusion matrices, the prediction table, the scores, and the model if asked for."""
        tables = {
            tracked.confusion(split): _chart(part, ended.result.classes, split)
            for split in tracked.SPLITS
            if (part := ended.part(split))
        }
        run, folder = self._begun.run, self._begun.folder
        with staged(folder):
            if ended.predictions:
                tables[tracked.PREDICTIONS] = self._table(ended)
                self._begun.log(tables, self._begun.next_step)
            if self.artifact:
                run.log_artifact(artifact(ended.result, folder))
        run.summary.update(tracked.outcome(ended))

    def leaving(self) -> None:
        """W&B shall call the run preempted, not crashed, should nothing be heard of it any more."""
        self._begun.run.mark_preempting()

    def stop(self, stop: Stop) -> None:
        """Ends the W&B run, which waits for what is not uploaded yet, for `UPLOADED_S` at most.

        Args:
            stop: also in the summary, as W&B itself knows fewer kinds.
        """
        record = self._record
        if record is None or wandb.run is None:
            # it did not get as far as a run of W&B's
            wandb.finish(exit_code=FAILED)
            return
        record.run.summary.update({tracked.STATUS: stop.state, tracked.REASON: stop.reason})
        if stop.state == "preempted":
            record.run.mark_preempting()
        status = {"finished": 0, "cancelled": KILLED, "interrupted": KILLED}
        record.finish(status.get(stop.state, FAILED))

    def _table(self, ended: Ended) -> wandb.Table:
        """A row an utterance: label, prediction, probabilities, and its sound if asked for."""
        names = [n for n in ended.predictions[0] if n in _NAMES or n.startswith("p_")]
        rows: list[list[Any]] = [
            [float(row[n]) if n.startswith("p_") else row[n] for n in names]
            for row in ended.predictions
        ]
        if self.audio:
            names = [*names, "audio"]
            for row in rows:
                row.append(_sound(ended.utterances[str(row[0])]))
        return wandb.Table(columns=list(names), data=rows)


_NAMES = ("utterance_id", "split", "label", "predicted")


def project_name(name: str) -> str:
    """A name without the characters that W&B refuses; a study may be a/b."""
    return re.sub(r"[/\\#?%:]", "-", name)[:LONGEST_PROJECT]


def _chart(rows: Sequence[Mapping[str, str]], classes: Sequence[str], split: str) -> Any:
    """The confusion matrix of one part as a chart of W&B's own."""
    index = {name: i for i, name in enumerate(classes)}
    return wandb.plot.confusion_matrix(
        y_true=[index[row["label"]] for row in rows],
        preds=[index[row["predicted"]] for row in rows],
        class_names=list(classes),
        title=f"confusion matrix, {split}",
    )


def _sound(utterance: Utterance) -> wandb.Audio:
    """What was said, from the corpus's own file."""
    samples = load(utterance.path, utterance.start_s, utterance.end_s)
    return wandb.Audio(samples.numpy(), sample_rate=SAMPLE_RATE_HZ)
