"""A W&B run on the disk and on its server: how it begins, goes on, and ends.

A W&B step is an epoch, and steps never go back. `wandb sync` appends to what the server has, so:
online, the server says which epochs it has; offline, a record that was not uploaded is written anew
and whole in place of the old one, and one that was is followed by what came after.

In the run folder: `wandb/run-<time>-<key>` of a run that was online, `offline-run-<time>-<key>` of
one that was not, `.synced` files of what `wandb sync` has uploaded, and a note of ours in each that
says what it has been told.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

from sermm.core.files import read_json, write_json
from sermm.runs.address import address, write_address
from sermm.runs.metrics import EPOCH

# Seconds: no network must not hold up a job; what was not uploaded lies on disk for `wandb sync`.
REACHED_S = 30.0
UPLOADED_S = 600.0
# In the folder of a W&B run: what it has been told.
NOTE = "told.json"


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
