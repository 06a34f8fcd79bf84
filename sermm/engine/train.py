"""One run: skip it if finished, resume it if interrupted, else train; then predict and record."""

import dataclasses
import logging
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Callback, Trainer
from lightning.pytorch.loggers import Logger

from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.core.seeding import seed_of
from sermm.core.transcripts import spoken
from sermm.data.datamodule import EmotionDataModule
from sermm.engine.assembly import build, read_weights, save_assets, save_weights
from sermm.engine.callbacks import EpochSeeding, Keeper, Progress
from sermm.engine.config import as_yaml, run_key, settings, system_key
from sermm.engine.corpus import Loaded, load
from sermm.engine.inference import device_for, precision_for, predict
from sermm.engine.learner import Learner, Learning
from sermm.engine.predictions import named, score, write_predictions
from sermm.engine.run_folder import RunFolder
from sermm.engine.trackers import finish_trackers
from sermm.engine.versions import git_state, versions
from sermm.models.base import CountingSystem, System


@dataclass(frozen=True)
class Task:
    """All that one run works with."""

    plain: dict[str, Any]
    folder: RunFolder
    loaded: Loaded
    fold: Fold
    system: System
    data: EmotionDataModule

    @property
    def title(self) -> str:
        """For people: model, data, fold and seed."""
        return title(self.plain)


def title(plain: dict[str, Any]) -> str:
    """For people: model, data, fold and seed of a run."""
    return (
        f"{plain['model']['name']} on {plain['data']['name']}, {plain['protocol']['name']} "
        f"fold {plain['fold']}, seed {plain['seed']}"
    )


def run(plain: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Trains one system on one fold, or finds that this has been done.

    Args:
        plain: the resolved configuration.
        overrides: what the user typed, for the report's row names.

    Returns:
        The result, as in `result.json`.

    Raises:
        InputError: the configuration or the corpus is wrong.
        BusyError: another process is at it.
    """
    folder = RunFolder(Path(plain["runs_dir"]) / plain["study"] / run_key(plain))
    loaded = load(plain)
    fold = loaded.protocol.fold(loaded.reading.utterances, plain["fold"], plain["seed"])
    if (done := folder.result) is not None:
        refuse_other_corpus(done, fold, folder)
        return done
    if process_rank():
        # Another process of this run, started by the first one to train on its own device.
        fit(prepare(plain, folder, loaded, fold, follows=True))
        sys.exit(0)
    folder.start(as_yaml(plain))
    with folder.running():
        start_s = time.monotonic()
        task = prepare(plain, folder, loaded, fold)
        epochs = learn(task)
        result = record(task, settings(overrides), epochs, time.monotonic() - start_s)
        folder.finish(result)
    return result


def process_rank() -> int:
    """Which of a run's processes this is, as Lightning, torchrun and Slurm say it."""
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)


def refuse_other_corpus(done: dict[str, Any], fold: Fold, folder: RunFolder) -> None:
    """A finished run whose fold held other utterances is not the run that was asked for.

    Raises:
        InputError: the folds differ.
    """
    if done["split_digest"] != fold.digest:
        raise InputError(
            f"{folder.path} is finished, but its fold held other utterances than the corpus has "
            "now (another copy, or part of one); use another study=, or delete that folder"
        )


def prepare(
    plain: dict[str, Any], folder: RunFolder, loaded: Loaded, fold: Fold, follows: bool = False
) -> Task:
    """Builds system and data; a run that cannot be resumed is cleared and starts anew.

    With `follows` another process of the same run has done that.
    """
    resumed = follows or (folder.last.exists() and folder.assets.is_dir())
    if not resumed:
        folder.clear()
        folder.write_status("running")
    said = {u.id: spoken(u.transcript) for u in loaded.reading.utterances}
    system = build(
        plain,
        n_classes=len(loaded.protocol.classes),
        assets=folder.assets if resumed else None,
        transcripts=(said[i] for i in fold.train),
    )
    if not resumed:
        folder.assets.mkdir(parents=True)
        save_assets(system, folder.assets)
    data = data_module(plain, loaded, fold, system)
    task = Task(plain, folder, loaded, fold, system, data)
    if not follows:
        announce(task)
    return task


def announce(task: Task) -> None:
    """Says what is trained on, and what of the corpus is not as it should be."""
    fold = task.fold
    print(
        f"{task.title}: train {len(fold.train)}, val {len(fold.val)}, test {len(fold.test)}",
        file=sys.stderr,
    )
    if kinds := Counter(problem.kind for problem in task.loaded.reading.problems):
        told = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
        print(f"  problems of the corpus, listed by `sermm data`: {told}", file=sys.stderr)
    if task.data.cut:
        most = task.plain["trainer"]["max_seconds"]
        print(f"  {task.data.cut} utterances are cut at {most} s", file=sys.stderr)


def data_module(
    plain: dict[str, Any], loaded: Loaded, fold: Fold, system: System
) -> EmotionDataModule:
    """Serves what the system needs of the fold."""
    trainer = plain["trainer"]
    if plain["select_on_test"]:
        fold = dataclasses.replace(fold, val=fold.test)
    text = system.text_encoder
    return EmotionDataModule(
        utterances=loaded.reading.utterances,
        fold=fold,
        targets=loaded.protocol.targets(loaded.reading.utterances),
        classes=loaded.protocol.classes,
        durations=loaded.durations,
        needs=system.needs,
        tokenize=None if text is None else text.tokenize,
        seed=plain["seed"],
        batch_size=trainer["batch_size"],
        batch_seconds=trainer["batch_seconds"],
        max_seconds=trainer["max_seconds"],
        num_workers=trainer["num_workers"],
        keep_audio_mb=trainer["keep_audio_mb"],
        pin_memory=device_for(trainer["accelerator"]).type == "cuda",
    )


def learn(task: Task) -> dict[str, int]:
    """Trains; leaves the chosen weights in the system and in `best.ckpt`.

    Returns:
        The number of the chosen epoch (`best`) and of the last one (`last`).
    """
    if isinstance(task.system, CountingSystem):
        return count(task.system, task)
    keeper = fit(task)
    read_weights(task.system, task.folder.best)
    return {"best": keeper.best_epoch, "last": keeper.last_epoch}


def count(system: CountingSystem, task: Task) -> dict[str, int]:
    """One look at every training utterance."""
    task.data.setup("fit")
    for batch in task.data.train_dataloader():
        system.observe(batch)
    save_weights(system, task.folder.best)
    return {"best": 1, "last": 1}


def fit(task: Task, watchers: Sequence[Callback] = ()) -> Keeper:
    """Trains by Lightning, from `last.ckpt` if there is one; `watchers` look on."""
    quiet()
    options = task.plain["trainer"]
    validated = bool(task.fold.val) or task.plain["select_on_test"]
    headline = f"val/{task.loaded.protocol.headline}"
    keeper = Keeper(task.folder, task.system, headline if validated else None, options["patience"])
    trainer = Trainer(
        accelerator=options["accelerator"],
        devices=options["devices"],
        precision=precision_for(options["precision"], device_for(options["accelerator"])),
        max_epochs=options["max_epochs"],
        accumulate_grad_batches=options["accumulate"],
        gradient_clip_val=options["clip_norm"],
        callbacks=[
            EpochSeeding(task.plain["seed"]),
            keeper,
            Progress(task.title, keeper),
            *watchers,
        ],
        logger=tracker(task),
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        limit_val_batches=1.0 if validated else 0,
        default_root_dir=task.folder.path,
    )
    learner = Learner(task.system, learning(task.plain), class_counts(task))
    resume = task.folder.last if task.folder.last.exists() else None
    torch.manual_seed(seed_of(task.plain["seed"], "fit"))
    # Lightning leaves modes as they are, and pre-trained encoders come in evaluation mode.
    task.system.train()
    try:
        trainer.fit(learner, datamodule=task.data, ckpt_path=resume, weights_only=True)
    except SystemExit:
        if trainer.interrupted:
            # Lightning turns Ctrl-C into an exit and leaves the signal ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        raise
    finally:
        finish_trackers()
    return keeper


def quiet() -> None:
    """Silences what Lightning says of every run; sermm says the rest itself."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".isinstance.treespec, LeafSpec.", FutureWarning)
    warnings.filterwarnings("ignore", "The .* does not have many workers")
    warnings.filterwarnings("ignore", "Found .* module.* in eval mode at the start of training")


def learning(plain: dict[str, Any]) -> Learning:
    """How the configured system learns."""
    return Learning(**instantiate(plain["model"]["learning"], _convert_="all"))


def class_counts(task: Task) -> torch.Tensor:
    """Training utterances of each class, `[k]`."""
    targets = task.loaded.protocol.targets(task.loaded.reading.utterances)
    counts = Counter(targets[i] for i in task.fold.train)
    return torch.tensor([float(counts[c]) for c in task.loaded.protocol.classes])


def tracker(task: Task) -> Logger | bool:
    """The experiment tracker beside the run folder, if any."""
    config = task.plain["logger"]["tracker"]
    if config is None:
        return False
    make = instantiate(config, _partial_=True, _convert_="all")
    made: Logger = make(plain=task.plain, folder=task.folder.path)
    return made


def record(
    task: Task, overrides: dict[str, str], epochs: dict[str, int], train_s: float
) -> dict[str, Any]:
    """Predicts validation and test part by the chosen weights; writes and returns the record."""
    plain, loaded, fold = task.plain, task.loaded, task.fold
    start_s = time.monotonic()
    options = plain["trainer"]
    device = device_for(options["accelerator"])
    # One process predicts everything, however many have trained.
    task.data.trainer = None
    task.data.setup("predict")
    found = predict(task.system, task.data.predict_dataloader(), device, options["precision"])
    splits = {**dict.fromkeys(fold.val, "val"), **dict.fromkeys(fold.test, "test")}
    targets = loaded.protocol.targets(loaded.reading.utterances)
    classes = loaded.protocol.classes
    by_id = {u.id: u for u in loaded.reading.utterances}
    write_predictions(
        task.folder.path / "predictions.csv", found, splits, by_id, targets, classes, fold.number
    )
    metrics: dict[str, float | None] = {}
    for split in ("val", "test"):
        part = [p for p in found if splits[p.utterance_id] == split]
        if part:
            metrics |= named(score(part, targets, classes), classes, split)
    predict_s = time.monotonic() - start_s
    protocol = loaded.protocol
    return {
        "key": task.folder.path.name,
        "study": plain["study"],
        "system": system_key(plain),
        "model": plain["model"]["name"],
        "settings": overrides,
        "data": plain["data"]["name"],
        "protocol": protocol.name,
        "protocol_notes": protocol.notes,
        "leaky": protocol.leaky,
        "headline": protocol.headline,
        "classes": list(classes),
        "fold": fold.number,
        "n_folds": protocol.n_folds(loaded.reading.utterances),
        "seed": plain["seed"],
        "split_digest": fold.digest,
        "metrics": metrics,
        "parameters": parameters(task.system),
        "seconds": {"train": train_s, "predict": predict_s, "total": train_s + predict_s},
        "epochs": epochs,
        "selection": selection(plain, fold),
        "text_source": None if task.system.text_encoder is None else "human",
        "notes": plain["model"]["notes"],
        "published": plain["model"]["published"],
        "counts": {
            "train": len(fold.train),
            "val": len(fold.val),
            "test": len(fold.test),
            "cut": task.data.cut,
            "problems": len(loaded.reading.problems),
        },
        "versions": versions(),
        "git": git_state(),
    }


def selection(plain: dict[str, Any], fold: Fold) -> str:
    """What chose the epoch: test (only if asked for), val, or nothing (the last epoch)."""
    if plain["select_on_test"]:
        return "test"
    return "val" if fold.val else "last"


def parameters(system: System) -> dict[str, int]:
    """Numbers of parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in system.parameters()]
    return {
        "total": sum(n for n, _ in sizes),
        "trainable": sum(n for n, trained in sizes if trained),
    }
