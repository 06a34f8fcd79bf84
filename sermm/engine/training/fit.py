"""Trains the system of a task: by Lightning, or by counting.

`sermm.engine.run` calls `learn` in the first process of a run, and `fit` in the others that train
on further devices. Lightning is left with the loop, devices, precision and gradients; what is kept,
recorded and shown is ours (`callbacks`), so that a run folder looks the same however it was made.
"""

import logging
import signal
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from lightning import Callback, Trainer

from sermm.configuration.groups import Monitor
from sermm.core.seeding import seed_of
from sermm.encoders.hf.base import transformers_in
from sermm.encoders.hf.layer_drop import drops_layers
from sermm.encoders.precision import device_for, precision_for
from sermm.engine.assembly.build import read_weights, save_weights
from sermm.engine.assembly.remedies import p_lost
from sermm.engine.training.callbacks import EpochProgress, EpochSeeding, Keeper
from sermm.engine.training.contrastive import contrastive
from sermm.engine.training.divergence import Divergence
from sermm.engine.training.learner import Learner
from sermm.engine.training.memory_estimate import MemoryNote, tunes
from sermm.engine.training.out_of_memory import memory_watched
from sermm.engine.training.task import Task
from sermm.engine.training.teaching import distillation
from sermm.models.base import CountingSystem
from sermm.runs.processes import cluster
from sermm.runs.result import Epochs
from sermm.runs.slurm.job import nodes
from sermm.runs.stopping import KeepSignals


@dataclass(frozen=True)
class Learned:
    """What training came to.

    Attributes:
        epochs: the one whose weights the run is scored with, and the last.
        by_validation: where the last one is scored by choice, the one that validation chose; its
            weights are in `RunFolder.other`. None elsewhere.
    """

    epochs: Epochs
    by_validation: int | None = None


def learn(task: Task, watchers: Sequence[Callback] = ()) -> Learned:
    """Trains; leaves the chosen weights in the system and in `best.ckpt`; `watchers` look on.

    Args:
        task: as `prepare` made it.
        watchers: called by Lightning after our own callbacks, such as trackers.

    Returns:
        Which epochs it came to.

    Raises:
        InputError: memory ran out, training diverged, or a loss cannot be had.
        KeyboardInterrupt: stopped; the same run again goes on after its last whole epoch.
    """
    if isinstance(task.system, CountingSystem):
        return count(task.system, task)
    keeper = fit(task, watchers)
    read_weights(task.system, task.folder.best)
    last = keeper.last_epoch
    if task.tests_last:
        return Learned(Epochs(best=last, last=last), by_validation=keeper.best_epoch)
    return Learned(Epochs(best=keeper.best_epoch, last=last))


def count(system: CountingSystem, task: Task) -> Learned:
    """One look at every training utterance: nothing is learned by gradient, so one epoch is all."""
    system.eval()
    for batch in task.data.train_dataloader():
        system.observe(batch)
    system.conclude()
    save_weights(system, task.folder.best)
    return Learned(Epochs(best=1, last=1))


def fit(task: Task, watchers: Sequence[Callback] = ()) -> Keeper:
    """Trains by Lightning, from `last.ckpt` if there is one; `watchers` look on.

    Args:
        task: as `prepare` made it.
        watchers: called after our own callbacks.

    Returns:
        What was kept. The system has the weights of the last epoch, `best.ckpt` those of the one
        that is scored.

    Raises:
        InputError: as `learn`.
        KeyboardInterrupt: as `learn`.
    """
    quiet()
    options = task.config.trainer
    validated = bool(task.fold.val) or task.config.select_on_test
    figure = monitored(options.monitor, task.loaded.protocol.headline)
    monitor = figure if validated else None
    keeper = Keeper(task.folder, task.system, monitor, options.patience, task.tests_last)
    learner = learner_of(task)
    callbacks = [
        EpochSeeding(task.config.seed),
        Divergence(task.config, tunes(task.system)),
        # Before the watchers, which read what it writes of an epoch.
        keeper,
        EpochProgress(task.config.title),
        MemoryNote(task),
        KeepSignals(),
        *watchers,
    ]
    trainer = trainer_of(task, callbacks, validated)
    # What is drawn before the first epoch, whatever building the system has drawn.
    torch.manual_seed(seed_of(task.config.seed, "fit"))
    # Lightning leaves modes as they are, and pre-trained encoders come in evaluation mode.
    task.system.train()
    if task.config.features.checkpointing:
        for encoder in transformers_in(task.system):
            encoder.recompute()
    run_trainer(trainer, learner, task)
    return keeper


def learner_of(task: Task) -> Learner:
    """What Lightning trains: the system of a task, with the losses that the task adds to its own.

    Raises:
        InputError: a loss needs what the teacher's folder or the system does not have.
    """
    return Learner(
        task.system,
        task.config.model.learning,
        class_counts(task),
        {**distillation(task), **contrastive(task)},
        p_lost(task.remedies),
    )


def trainer_of(task: Task, callbacks: list[Callback], validated: bool) -> Trainer:
    """Lightning's trainer for a task, with all that Lightning would do by itself turned off.

    Batches are shared among devices by `sermm.data.batching.BatchPlan`, so Lightning adds no
    sampler. `trainer.devices` counts those of all nodes, Lightning's `devices` those of one.

    Args:
        task: that is to be trained.
        callbacks: in the order in which they are called.
        validated: whether there is a validation part to look at after each epoch.
    """
    options = task.config.trainer
    # A layer that is left out on one device has no gradient there, which the others would wait for.
    several = options.devices > 1 and drops_layers(task.system)
    return Trainer(
        accelerator=options.accelerator,
        strategy="ddp_find_unused_parameters_true" if several else "auto",
        devices=options.devices // nodes(),
        num_nodes=nodes(),
        plugins=[cluster()],
        precision=precision_for(options.precision, device_for(options.accelerator)),
        max_epochs=options.max_epochs,
        accumulate_grad_batches=options.accumulate,
        gradient_clip_val=options.clip_norm,
        callbacks=callbacks,
        logger=False,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        limit_val_batches=1.0 if validated else 0,
        default_root_dir=task.folder.path,
    )


def run_trainer(trainer: Trainer, learner: Learner, task: Task) -> None:
    """Trains to the end, from the last whole epoch of an interrupted run.

    Raises:
        InputError: memory ran out, or training diverged.
        KeyboardInterrupt: Ctrl-C.
    """
    resume = task.folder.last if task.folder.last.exists() else None
    try:
        with memory_watched(task.config, device_for(task.config.trainer.accelerator)):
            trainer.fit(learner, datamodule=task.data, ckpt_path=resume, weights_only=True)
    except SystemExit:
        if trainer.interrupted:
            # Lightning turns Ctrl-C into an exit and leaves the signal ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        raise


def monitored(monitor: Monitor, headline: str) -> str:
    """The validation figure that chooses the epoch, by the name under which it is logged.

    Args:
        monitor: `trainer.monitor`.
        headline: of the protocol: ua, wa or f1_macro.
    """
    return f"val/{headline if monitor == 'headline' else monitor}"


def quiet() -> None:
    """Silences what Lightning says of every run; sermm says the rest itself."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".isinstance.treespec, LeafSpec.", FutureWarning)
    warnings.filterwarnings("ignore", "The .* does not have many workers")
    warnings.filterwarnings("ignore", "Found .* module.* in eval mode at the start of training")
    # On a cluster's login node, where a run by hand is meant to be one.
    warnings.filterwarnings("ignore", "The `srun` command is available")


def class_counts(task: Task) -> dict[str, int]:
    """Training utterances of each class, in the order of the classes.

    The order is that of the logits, and of the class weights made from these numbers.
    """
    counts = Counter(task.loaded.targets[i] for i in task.fold.train)
    return {name: counts[name] for name in task.loaded.protocol.classes}
