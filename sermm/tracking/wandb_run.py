"""Weights & Biases: one W&B run for each run folder, online where there is a key.

A W&B step is an epoch, and steps never go back. `wandb sync` appends to what the server has, so:
online, the server says which epochs it has; offline, a record that was not uploaded is written anew
and whole in place of the old one, and one that was is followed by what came after.

The summary is of the chosen epoch, and that only once it has been chosen: what W&B takes from the
last epoch by itself is switched off, and stands there as `last/...`.

In the run folder: `wandb/run-<time>-<key>` of a run that was online, `offline-run-<time>-<key>` of
one that was not, `.synced` files of what `wandb sync` has uploaded, and a note of ours in each that
says what it has been told.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

from sermm.core.files import read_json, write_json
from sermm.core.records import Utterance
from sermm.data.audio import SAMPLE_RATE_HZ, load
from sermm.runs.address import address, write_address
from sermm.runs.metrics import EPOCH, Figures
from sermm.tracking import names as tracked
from sermm.tracking.artifact import artifact
from sermm.tracking.tracker import Begun, Ended, Stop, Tracker, since

# Seconds: no network must not hold up a job; what was not uploaded lies on disk for `wandb sync`.
REACHED_S = 30.0
UPLOADED_S = 600.0
# What W&B takes, in characters.
LONGEST_TAG = 64
LONGEST_PROJECT = 128
LONGEST_GROUP = 128
LONGEST_NAME = 128
# Exit statuses: W&B calls a run killed by the second, and preempted by any but 0 once it was told.
FAILED, KILLED = 1, 255
# In the folder of a W&B run: what it has been told.
NOTE = "told.json"


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
    def _begun(self) -> "Record":
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


def reachable() -> bool:
    """Whether W&B is to be asked at all: there is a key, and nobody said offline."""
    online = wandb.setup(wandb.Settings(silent=True)).settings.mode == "online"
    return online and bool(wandb.login(prompt=False, verify=False))


class Record:
    """A W&B run that is being told.

    Attributes:
        run: of the package wandb.
        folder: below which its files lie.
        place: W&B's own folder of it.
        next_step: the first one that W&B has not got.
    """

    def __init__(self, run: wandb.Run, folder: Path, next_step: int) -> None:
        self.run = run
        self.folder = folder
        self.place = Path(run.dir).parent
        self.offline = run.offline
        self.next_step = next_step
        self._defined: set[str] = set()

    def define(self, names: Iterable[str]) -> None:
        """Has W&B draw figures over the epoch, and keep the last one out of the summary."""
        for name in set(names) - self._defined:
            step = None if name == EPOCH else EPOCH
            self.run.define_metric(name, step_metric=step, summary="none")
            self._defined.add(name)

    def log(self, what: Mapping[str, Any], step: int) -> None:
        """Tells it, and notes that.

        Args:
            what: figures, charts and tables by name.
            step: an epoch, or one more than the last for what comes at the end.
        """
        self.run.log(dict(what), step=step, commit=True)
        self.next_step = step + 1
        write_json(self.place / NOTE, {"next_step": self.next_step})

    def finish(self, status: int) -> None:
        """Ends it; copies that were made to be uploaded go, once they have been.

        Args:
            status: an exit status.
        """
        try:
            wandb.finish(exit_code=status)
        except TimeoutError:
            left = f"wandb sync {shlex.quote(str(self.place))}"
            print(f"  W&B has not got all of it; to upload the rest: {left}", file=sys.stderr)
            return
        if not self.offline:
            unstage(self.folder)
        self.say()

    def say(self) -> None:
        """Where the run is to be seen, or how to bring it there."""
        offline = "offline; to upload: " if self.offline else ""
        print(f"  W&B: {offline}{address(self.folder) or 'disabled'}", file=sys.stderr)


def begin(folder: Path, **about: Any) -> Record:
    """Starts, or goes on with, a W&B run whose files lie in `folder`.

    It is offline without a key or an answer. Older records that the server has not got are deleted:
    all that was in them is told again.

    Args:
        folder: of the run, or of a report.
        about: further arguments of `wandb.init`; `id` among them.
    """
    wandb.setup(wandb.Settings(silent=True))
    wandb.finish()
    settings = wandb.Settings(
        silent=True,
        init_timeout=REACHED_S,
        finish_timeout=UPLOADED_S,
        finish_timeout_raises=True,
    )
    given: dict[str, Any] = {"dir": folder, "resume": "allow", "settings": settings, **about}
    folder.mkdir(parents=True, exist_ok=True)
    older = list(folder.glob(f"wandb/*run-*-{about['id']}"))
    run = _started(given)
    sent = uploaded(older)
    for record in set(older) - set(sent):
        shutil.rmtree(record, ignore_errors=True)
    # What was to be uploaded has been, or is told again.
    unstage(folder)
    # A record without a note was told nothing.
    notes = [read_json(f / NOTE)["next_step"] for f in sent if (f / NOTE).is_file()]
    step = max(notes, default=0) if run.offline else run.starting_step
    begun = Record(run, folder, step)
    if run.offline or run.url:
        write_address(folder, None if run.offline else run.url, begun.place)
    begun.say()
    return begun


def _started(given: dict[str, Any]) -> wandb.Run:
    """An online run if W&B can be reached within `REACHED_S`, else an offline one."""
    online = wandb.setup().settings.mode == "online"
    if online and not reachable():
        return wandb.init(**given, mode="offline")
    try:
        return wandb.init(**given)
    except (wandb.Error, OSError) as error:
        if not online:
            raise
        reason = " ".join(str(error).split())
        print(f"  W&B does not answer, so this run is kept offline: {reason}", file=sys.stderr)
        # W&B holds on to the id of what failed.
        wandb.teardown()
        return wandb.init(**given, mode="offline")


def uploaded(records: Sequence[Path]) -> list[Path]:
    """The folders of W&B runs that the server has got: made online, or synchronised since.

    Args:
        records: folders of one run's id, in any order.
    """
    online = (f for f in records if f.name.startswith("run-") and (f / NOTE).is_file())
    return [*online, *(f for f in records if any(f.glob("*.synced")))]


def unstage(folder: Path) -> None:
    """Removes the copies that W&B has made to upload them.

    Args:
        folder: of the run.
    """
    shutil.rmtree(folder / "wandb" / "artifacts", ignore_errors=True)


@contextmanager
def staged(folder: Path) -> Iterator[None]:
    """W&B copies tables that it is told in the body to this folder, not to the user's home."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = str(folder.resolve() / "wandb")
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]
        else:
            os.environ["WANDB_DATA_DIR"] = before


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
