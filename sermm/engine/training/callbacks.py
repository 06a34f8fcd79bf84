"""What happens between epochs: seeding, keeping the best, stopping early, recording, progress.

Lightning's own checkpoints, loggers and bars are off (`fit.trainer_of`): a run folder has
checkpoints of fixed names, `best.ckpt` (weights of the chosen epoch), `last.ckpt` (all that
resuming needs) and `before.ckpt` (what that was an epoch ago), and `metrics.csv`, all of them
written whole. Where the last epoch is the chosen one although there is validation, `other.ckpt` has
the one that validation chose. So a run that is killed at any moment goes on after its last whole
epoch and comes to the same result, bit for bit on a CPU.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from sermm.core.figures import fixed, from_single
from sermm.core.files import whole_file
from sermm.core.progress import Progress
from sermm.core.seeding import seed_of
from sermm.engine.assembly.build import save_weights
from sermm.engine.training.learner import OF_PARTS
from sermm.models.base import System
from sermm.runs.folder import RunFolder
from sermm.runs.metrics import EPOCH, Epoch, read_epochs, write_epochs
from sermm.runs.result import Overfit

VAL_LOSS = "val/loss"


class EpochSeeding(Callback):
    """Every epoch draws from a stream of its own, so that resuming gives the same numbers.

    Torch's global generator serves what a system draws: dropout, lost modalities. Its state would
    have to be saved for each device; a seed made of the epoch's number needs no state. Batches and
    augmentation have streams of their own and draw nothing from it.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Seeds torch for this epoch and rank, as each rank trains on other utterances."""
        torch.manual_seed(seed_of(self.seed, "epoch", trainer.current_epoch, trainer.global_rank))


class Keeper(Callback):
    """Keeps the best epoch and the last one; stops when validation gains no more.

    Of two equally good epochs the earlier one is kept. Without a validation figure the last epoch
    is the chosen one, and training goes on to `max_epochs`.

    Args:
        folder: of the run; gets `best.ckpt`, `last.ckpt` and `metrics.csv` after every epoch.
        system: whose weights are kept.
        monitor: the validation figure, of which more is better, or `val/loss`; None = there is
            none.
        patience: epochs without a better figure before stopping; None = never.
        tests_last: the last epoch is the chosen one; the best one is kept in `other.ckpt`.

    Attributes:
        best: the figure of the best epoch, `val/loss` negated; None before the first one, and
            without a figure.
        best_epoch: its number, from 1; 0 before the first one.
        rows: number and figures of every epoch so far, those of earlier attempts included.
    """

    def __init__(
        self,
        folder: RunFolder,
        system: System,
        monitor: str | None,
        patience: int | None,
        tests_last: bool = False,
    ) -> None:
        self.folder = folder
        self.system = system
        self.monitor = monitor
        self.patience = patience
        self.tests_last = tests_last
        self.best: float | None = None
        self.best_epoch = 0
        self.rows: list[dict[str, float | int]] = []

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know; Lightning puts it into `last.ckpt`."""
        return {"best": self.best, "best_epoch": self.best_epoch, "rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it back, before the first epoch of a resumed run."""
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
        self.rows = state_dict["rows"]

    @property
    def last_epoch(self) -> int:
        """Epochs trained so far."""
        return len(self.rows)

    @property
    def spent(self) -> bool:
        """Whether patience has run out: so many epochs have come after the best one."""
        return (
            self.monitor is not None
            and self.patience is not None
            and self.last_epoch - self.best_epoch >= self.patience
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """A run that was stopped when its patience had run out already trains no more."""
        if self.spent:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Records the epoch, keeps the best weights and the state to go on from.

        Lightning has validated by now, so the figures are those of both parts.
        """
        figures = {name: from_single(float(v)) for name, v in trainer.callback_metrics.items()}
        ratios = overfit(figures)
        # Lightning counts from 0, files and people from 1.
        self.rows.append({EPOCH: trainer.current_epoch + 1, **figures, **ratios})
        value = self._value(figures)
        better = value is None or self.best is None or value > self.best
        if better:
            self.best, self.best_epoch = value, self.last_epoch
        if trainer.is_global_zero:
            # Before the state to go on from: a run killed in between trains this epoch again.
            self._save_chosen(better)
        self._save_last(trainer)
        if trainer.is_global_zero:
            write_epochs(self.folder.path, [as_epoch(row) for row in self.rows])
        if self.spent:
            trainer.should_stop = True

    def _value(self, figures: Mapping[str, float]) -> float | None:
        """What is better the higher it is; None where there is nothing to choose by.

        A loss too large for a number is worse than any other, whichever epoch has it.
        """
        value = figures.get(self.monitor) if self.monitor else None
        if value is None:
            return None
        value = -value if self.monitor == VAL_LOSS else value
        return value if math.isfinite(value) else -math.inf

    def _save_chosen(self, better: bool) -> None:
        """Keeps this epoch's weights: those that are scored, and those that validation chose."""
        if better or self.tests_last:
            save_weights(self.system, self.folder.best)
        if better and self.tests_last:
            save_weights(self.system, self.folder.other)

    def _save_last(self, trainer: Trainer) -> None:
        """Writes optimiser, schedule, epochs and weights in the place of those before."""
        if not trainer.is_global_zero:
            # Every rank must take part; only the first one writes.
            trainer.save_checkpoint(self.folder.last, weights_only=False)
            return
        # Twice the room on the disk; but were there but one, a damaged one would cost the run.
        with whole_file(self.folder.last, self.folder.before) as temporary:
            trainer.save_checkpoint(temporary, weights_only=False)


def as_epoch(row: Mapping[str, float | int]) -> Epoch:
    """An epoch out of a row that a checkpoint holds, which may hold plain values only.

    A checkpoint is read with `weights_only`, which executes nothing and knows no class of ours.
    """
    figures = {name: float(value) for name, value in row.items() if name != EPOCH}
    return Epoch(int(row[EPOCH]), figures)


def overfit(figures: Mapping[str, float]) -> dict[str, float]:
    """How much better training goes than validation, above 1 where it does.

    WA of training / WA of validation, and loss of validation / loss of training (of the labels,
    with dropout, class weights and smoothing); a quotient that does not exist is left out. Parts
    that are trained each by itself have no loss to compare: validation's is of their sum.

    Args:
        figures: of one epoch by the names that the `Learner` logs; WA as fractions.

    Returns:
        `overfit/wa_ratio` and `overfit/loss_ratio`, as far as they exist and are finite.
    """
    trained_on = "train/label_loss" if "train/label_loss" in figures else "train/loss"
    above_below = {"overfit/wa_ratio": ("train/wa", "val/wa")}
    if f"train/{OF_PARTS}" not in figures:
        above_below["overfit/loss_ratio"] = ("val/loss", trained_on)
    pairs = {n: [figures.get(part, math.nan) for part in ab] for n, ab in above_below.items()}
    ratios = {name: above / below for name, (above, below) in pairs.items() if below}
    return {name: ratio for name, ratio in ratios.items() if math.isfinite(ratio)}


def overfit_at(folder: Path, number: int | None) -> Overfit | None:
    """Both ratios of an epoch of a run; None where the run has no epochs, as floors have none.

    Args:
        folder: of the run, whose `metrics.csv` is read.
        number: of the epoch, from 1.
    """
    epochs = {epoch.number: epoch.figures for epoch in read_epochs(folder)}
    if not epochs:
        return None
    known = {f"overfit/{one.name}": one.name for one in fields(Overfit)}
    figures = epochs.get(number or 0)
    return Overfit(**{known[n]: value for n, value in (figures or {}).items() if n in known})


class EpochProgress(Callback):
    """Shows where training is: epochs, their figures, the time left if none of them is the last.

    Early stopping cannot be foreseen, so the time left is an upper bound. The first rank shows it.

    Args:
        title: of the run.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.progress: Progress | None = None
        self.figures: list[str] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Starts the clock; a resumed run counts the epochs that are left."""
        if trainer.is_global_zero:
            left = (trainer.max_epochs or 0) - trainer.current_epoch
            self.progress = Progress(self.title, left, "epoch")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Shows which epoch this is, beside the figures of the one before."""
        self._say(trainer, self.figures)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """A part of the epoch is done: one of a large encoder may take hours."""
        if self.progress is not None:
            self.progress.advance(1 / trainer.num_training_batches)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Shows loss and validation figure, as far as there are any."""
        self.figures = [
            f"{name} {fixed(from_single(float(trainer.callback_metrics[name])), 3)}"
            for name in ("train/loss", "val/ua")
            if name in trainer.callback_metrics
        ]
        self._say(trainer, self.figures)

    def _say(self, trainer: Trainer, figures: Sequence[str]) -> None:
        if self.progress is not None:
            epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            self.progress.say(", ".join([epoch, *figures]))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Takes it away."""
        self._close()

    def on_exception(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        exception: BaseException,  # noqa: ARG002
    ) -> None:
        """Takes it away, so that what is said of the error stands below."""
        self._close()

    def _close(self) -> None:
        if self.progress is not None:
            self.progress.close()
