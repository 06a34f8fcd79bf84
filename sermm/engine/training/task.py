"""What one run works with: its folder, corpus, fold, system and batches."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sermm.configuration.compose import levels_of
from sermm.core.records import Fold
from sermm.data.augment.augment import OF_WORDS, Augment
from sermm.data.augment.synonyms import Reworded, Synonyms
from sermm.data.datamodule import EmotionDataModule, Loading
from sermm.data.dataset import StoredStream
from sermm.encoders.precision import device_for
from sermm.engine.assembly.build import build, save_assets
from sermm.engine.assembly.encoders import refuse_features
from sermm.engine.assembly.normalisation import observe, observers
from sermm.engine.assembly.remedies import Remedies, remedies_of
from sermm.engine.extraction.extract import ready
from sermm.engine.extraction.streams import streams
from sermm.engine.inputs.batches import augmentation, inputs_of, rewording
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.work import Work, work_of
from sermm.engine.training.distillation import teacher_name
from sermm.models.base import CountingSystem, System
from sermm.runs.folder import RunFolder


@dataclass(frozen=True)
class Task:
    """All that one run works with."""

    plain: dict[str, Any]
    folder: RunFolder
    loaded: Loaded
    fold: Fold
    system: System
    data: EmotionDataModule
    unit_sources: Mapping[str, Mapping[str, int]]

    @property
    def title(self) -> str:
        """For people: model, data, fold and seed."""
        return title(self.plain)

    @property
    def remedies(self) -> Remedies:
        """Those that are on."""
        return remedies_of(self.plain)

    @property
    def varied(self) -> dict[str, Any] | None:
        """Settings of what varies audio and words in training, by kind; None: nothing does."""
        audio = {} if self.data.augment is None else self.data.augment.settings
        words = self.data.reworded
        return {**audio, **({} if words is None else {OF_WORDS: words.synonyms.settings})} or None


def title(plain: dict[str, Any]) -> str:
    """For people: model, data, fold and seed of a run."""
    return (
        f"{plain['model']['name']} on {plain['data']['name']}, {plain['protocol']['name']} "
        f"fold {plain['fold']}, seed {plain['seed']}"
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
    refuse_features(plain)
    remedies_of(plain)
    augment, synonyms = augmentation(plain), rewording(plain)
    levels = levels_of(plain["model"]["system"])
    work = work_of(plain, loaded, (*fold.train, *fold.val, *fold.test), levels)
    stored = ready(streams(plain), work) if plain["features"]["mode"] == "cached" else {}
    system = build(
        plain,
        n_classes=len(loaded.protocol.classes),
        assets=folder.assets if resumed else None,
        transcripts=(loaded.texts[i] for i in fold.train),
        stored={name: stream.shape for name, stream in stored.items()},
    )
    if not resumed:
        folder.assets.mkdir(parents=True)
        save_assets(system, folder.assets)
    data = data_module(work, fold, system, stored, augment, synonyms)
    observe_fold(system, data, work.device)
    task = Task(plain, folder, loaded, fold, system, data, work.sources)
    if not follows:
        announce(task)
    return task


def observe_fold(system: System, data: EmotionDataModule, device: torch.device) -> None:
    """Takes the statistics that features are normalised by.

    They come from the training part only; those of talkers (transductive) from all parts.
    """
    if parts := observers(system, "global"):
        observe(parts, data.loader(data.fold.train), device)
    if parts := observers(system, "talker"):
        fold = data.fold
        everything = dict.fromkeys(fold.train + fold.val + fold.test)
        observe(parts, data.loader(tuple(everything)), device)


def announce(task: Task) -> None:
    """Says what is trained on, and what of the corpus is not as it should be."""
    fold = task.fold
    print(
        f"{task.title}: train {len(fold.train)}, val {len(fold.val)}, test {len(fold.test)}",
        file=sys.stderr,
    )
    for level, sources in task.unit_sources.items():
        told = ", ".join(f"{source} {n}" for source, n in sources.items())
        print(f"  {level}s from: {told}", file=sys.stderr)
    announce_variation(task)
    if teacher := task.plain["teacher"]:
        told = f"{teacher_name(teacher)} ({teacher['key']}), test UA {teacher['ua']:.3f}"
        print(f"  teacher: {told}", file=sys.stderr)
    if kinds := Counter(problem.kind for problem in task.loaded.reading.problems):
        told = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
        print(f"  problems of the corpus, listed by `sermm data`: {told}", file=sys.stderr)
    if task.data.cut:
        most = task.plain["trainer"]["max_seconds"]
        print(f"  {task.data.cut} utterances are cut at {most} s", file=sys.stderr)


def announce_variation(task: Task) -> None:
    """Says what is done against overfitting, and what of it this system cannot have."""
    name, asked = task.plain["model"]["name"], task.plain["augment"]
    if any(one for kind, one in asked.items() if kind != OF_WORDS):
        told = str(task.data.augment or f"nothing, {name} reads no audio")
        print(f"  augmented in training: {told}", file=sys.stderr)
    if asked[OF_WORDS]:
        told = str(task.data.reworded or f"nothing, {name} learns from no text")
        print(f"  reworded in training: {told}", file=sys.stderr)
    if any(task.plain["remedies"].values()):
        told = str(task.remedies) or f"nothing, {name} counts and does not learn"
        print(f"  remedies in training: {told}", file=sys.stderr)


def data_module(
    work: Work,
    fold: Fold,
    system: System,
    stored: Mapping[str, StoredStream] | None = None,
    augment: Augment | None = None,
    synonyms: Synonyms | None = None,
) -> EmotionDataModule:
    """Serves what the system needs of the fold; what it does not read is not varied."""
    plain, loaded = work.plain, work.loaded
    trainer = plain["trainer"]
    if plain["select_on_test"]:
        fold = dataclasses.replace(fold, val=fold.test)
    texts = {i: loaded.texts[i] for i in work.utterances}
    return EmotionDataModule(
        utterances=list(work.utterances.values()),
        fold=fold,
        targets=loaded.targets,
        classes=loaded.protocol.classes,
        durations=loaded.durations,
        inputs=inputs_of(system, texts, work.units, stored or {}),
        seed=plain["seed"],
        loading=Loading(
            batch_size=trainer["batch_size"],
            batch_seconds=trainer["batch_seconds"],
            max_seconds=trainer["max_seconds"],
            num_workers=trainer["num_workers"],
            keep_audio_mb=trainer["keep_audio_mb"],
            pin_memory=device_for(trainer["accelerator"]).type == "cuda",
        ),
        augment=augment if "waveform" in system.needs else None,
        reworded=reworded(system, synonyms, {i: texts[i] for i in fold.train}),
    )


def reworded(
    system: System, synonyms: Synonyms | None, texts: Mapping[str, str]
) -> Reworded | None:
    """The training texts with other words; None for systems that learn from no text."""
    encoder = system.text_encoder
    if synonyms is None or encoder is None or isinstance(system, CountingSystem):
        return None
    return Reworded(synonyms, texts, encoder.tokenize)
