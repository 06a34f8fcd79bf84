"""Weights & Biases: one W&B run for each run folder, online where there is a key.

A W&B step is an epoch, and steps never go back. `wandb sync` appends to what the server has, so:
online, the server says which epochs it has; offline, a record that was not uploaded is written anew
and whole in place of the old one, and one that was is followed by what came after.

In the run folder: `wandb/run-<time>-<key>` of a run that was online, `offline-run-<time>-<key>` of
one that was not, `.synced` files of what `wandb sync` has uploaded, and a note of ours in each that
says what it has been told.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

from sermm.configuration.verbs import RunConfig
from sermm.core.files import read_json, write_json
from sermm.core.records import Utterance
from sermm.data.audio import SAMPLE_RATE_HZ, load
from sermm.runs.metrics import Figures
from sermm.tracking import names as tracked
from sermm.tracking.tracker import Ended, Tracker, since

# Seconds: no network must not hold up a job; what was not uploaded lies on disk for `wandb sync`.
REACHED_S = 30.0
UPLOADED_S = 600.0
# What W&B takes, in characters.
LONGEST_TAG = 64
LONGEST_PROJECT = 128
LONGEST_GROUP = 128
# In the folder of a W&B run: what it has been told.
NOTE = "told.json"


class Wandb(Tracker):
    """`logger=wandb`.

    Args:
        project: of W&B.
        entity: user or team; None = the default.
        audio: put the sound of every utterance into the prediction table. Off by default: licences
            of corpora forbid it.
    """

    def __init__(self, project: str, entity: str | None = None, audio: bool = False) -> None:
        self.project = project_name(project)
        self.entity = entity
        self.audio = audio

    def start(self, config: RunConfig, folder: Path) -> None:
        """Begins the W&B run whose id is the run key; its configuration is complete at once."""
        name = f"{config.model.name} fold {config.fold} seed {config.seed}"
        self._record = begin(
            folder,
            project=self.project,
            entity=self.entity,
            id=folder.name,
            name=name,
            group=tracked.group(config)[:LONGEST_GROUP],
            job_type=f"fold{config.fold}",
            tags=[tag[:LONGEST_TAG] for tag in tracked.tags(config)],
            config={**tracked.flat(config.plain), "run_key": folder.name},
        )

    def epochs(self, rows: Sequence[Figures]) -> None:
        """Tells the epochs that W&B has not got."""
        for epoch, row in since(rows, self._record.next_step):
            self._record.log(row, epoch)

    def finished(self, ended: Ended) -> None:
        """Confusion matrices, the prediction table, and the scores."""
        charts = {
            tracked.confusion(split): _chart(part, ended.result.classes, split)
            for split in tracked.SPLITS
            if (part := ended.part(split))
        }
        with staged(self._record.folder):
            tables = {**charts, tracked.PREDICTIONS: self._table(ended)}
            self._record.log(tables, self._record.next_step)
        self._record.run.summary.update(tracked.figures(ended.result))

    def stop(self, status: int) -> None:
        """Ends the W&B run, which waits for what is not uploaded yet, for `UPLOADED_S` at most.

        Args:
            status: an exit status; W&B marks a run by it as finished or failed.
        """
        if wandb.run is not None:
            wandb.finish(exit_code=status)

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
        next_step: the first one that W&B has not got.
    """

    def __init__(self, run: wandb.Run, folder: Path, next_step: int) -> None:
        self.run = run
        self.folder = folder
        self.next_step = next_step

    def log(self, what: Mapping[str, Any], step: int) -> None:
        """Tells it, and notes that.

        Args:
            what: figures, charts and tables by name.
            step: an epoch, or one more than the last for what comes at the end.
        """
        self.run.log(dict(what), step=step, commit=True)
        self.next_step = step + 1
        write_json(Path(self.run.dir).parent / NOTE, {"next_step": self.next_step})


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
    settings = wandb.Settings(silent=True, init_timeout=REACHED_S, finish_timeout=UPLOADED_S)
    given: dict[str, Any] = {"dir": folder, "resume": "allow", "settings": settings, **about}
    folder.mkdir(parents=True, exist_ok=True)
    older = list(folder.glob(f"wandb/*run-*-{about['id']}"))
    run = _started(given)
    sent = uploaded(older)
    for record in set(older) - set(sent):
        shutil.rmtree(record, ignore_errors=True)
    if not run.offline:
        print(f"  W&B: {run.url or 'disabled'}", file=sys.stderr)
        return Record(run, folder, run.starting_step)
    print(f"  W&B offline; to upload: wandb sync {Path(run.dir).parent}", file=sys.stderr)
    # A record without a note was told nothing.
    notes = [read_json(f / NOTE)["next_step"] for f in sent if (f / NOTE).is_file()]
    return Record(run, folder, max(notes, default=0))


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
