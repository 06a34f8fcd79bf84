"""Stops a run whose numbers are none: its loss, or what it says of a validation utterance.

What has diverged never comes back, and its predictions would still get a score: the first class
wins every comparison with NaN. So such a run fails, before anything of that epoch is kept.

Looking at a number waits for a GPU. The first bad step is kept on the device, and looked at every
`EVERY` steps, at the end of an epoch, and after validation; by all devices at once, as one that
stopped alone would leave the others waiting.
"""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.encoders.precision import device_for, precision_for
from sermm.engine.assembly.encoders import encoder_configs

EVERY = 50
# Later than any step.
_NEVER = 2**31 - 1
# No rate above this is worth a try.
_HIGH = 1e-3


class Divergence(Callback):
    """Raises what ends the run.

    Has to come before what keeps an epoch.

    Args:
        config: of the run, to say what of it can change.
        tuned: whether pre-trained encoders are trained.
    """

    def __init__(self, config: RunConfig, tuned: bool) -> None:
        self.config, self.tuned = config, tuned
        self._first: Tensor | None = None
        self._doubtful: list[tuple[tuple[str, ...], Tensor]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """No step of it has been bad so far."""
        self._first = torch.full((), _NEVER, device=pl_module.device)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Batch,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Looks at the loss of a step.

        Raises:
            InputError: one of the last steps had none.
        """
        if self._first is None:
            return
        step = torch.where(outputs["loss"].isfinite(), _NEVER, batch_idx + 1)
        self._first = torch.minimum(self._first, step)
        if trainer.is_last_batch or (batch_idx + 1) % EVERY == 0:
            first = int(trainer.strategy.reduce(self._first, reduce_op="min"))
            if first < _NEVER:
                self._stop(trainer, f"the loss of step {first} of {trainer.num_training_batches}")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Nothing has been said yet."""
        self._doubtful = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Looks at the logits `[b k]` of a batch."""
        self._doubtful.append((batch.ids, ~outputs.isfinite().all(-1)))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Were they all numbers?

        Raises:
            InputError: some were not.
        """
        bad = [
            utterance_id
            for ids, flags in self._doubtful
            for utterance_id, flag in zip(ids, flags.tolist(), strict=True)
            if flag
        ]
        count = torch.tensor(len(bad), device=pl_module.device)
        total = int(trainer.strategy.reduce(count, reduce_op="sum"))
        if total:
            first = f", {bad[0]} among them" if bad else ""
            self._stop(trainer, f"what it says of {total} validation utterances{first},")

    def _stop(self, trainer: Trainer, what: str) -> None:
        ways = "; ".join(ways_out(self.config, self.tuned))
        raise InputError(
            f"training diverged: {what} in epoch {trainer.current_epoch + 1} is no finite number. "
            f"Change one or more of these, likeliest first: {ways}. "
            "The same settings would come to the same again"
        )


def ways_out(config: RunConfig, tuned: bool) -> list[str]:
    """What makes steps smaller or numbers more exact, as far as the run has not set it already.

    Args:
        config: of the run.
        tuned: whether pre-trained encoders are trained.
    """
    learning, trainer = config.model.learning, config.trainer
    encoders = encoder_configs(config.model).values()
    adapted = [one.innermost.given("adapter") is not None for one in encoders]
    rates = {"lr": learning.lr}
    if tuned and not all(adapted):
        rates["encoder_lr"] = learning.encoder_lr
    if tuned and any(adapted):
        rates["adapter_lr"] = learning.adapter_lr
    found = [
        f"model.learning.{name}={min(rate / 10, _HIGH):g} (now {rate:g})"
        for name, rate in rates.items()
    ]
    if trainer.clip_norm is None:
        found.append("trainer.clip_norm=1.0 (now null: gradients of any size)")
    if precision_for(trainer.precision, device_for(trainer.accelerator)) != "32-true":
        found.append(f"trainer.precision=32-true (now {trainer.precision})")
    return found
