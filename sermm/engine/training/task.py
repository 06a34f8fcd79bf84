"""What one run works with: its folder, corpus, fold, system and batches.

`prepare` is where a configuration becomes something that can be trained, anew or as an interrupted
run left it. What may be refused is refused in the order of its cost: settings that do not go
together first, then what has to be read, extracted or loaded.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sermm.configuration.groups import AugmentConfig, RemediesConfig
from sermm.configuration.verbs import RunConfig, levels_of
from sermm.core.figures import fixed
from sermm.core.kernels import lacking_kernels
from sermm.core.records import Fold
from sermm.data.augment.augment import OF_WORDS
from sermm.data.datamodule import EmotionDataModule
from sermm.data.dataset import StoredStream
from sermm.encoders.precision import device_for
from sermm.engine.assembly.build import build, save_assets
from sermm.engine.assembly.encoders import refuse_features
from sermm.engine.assembly.remedies import NONE, described, remedies_of
from sermm.engine.extraction.cut_texts import cut_texts
from sermm.engine.extraction.extract import ready
from sermm.engine.extraction.streams import streams
from sermm.engine.fold_data import data_module, everything, observe_fold
from sermm.engine.inputs.batches import augmentation, rewording
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.work import work_of
from sermm.engine.training.distillation import teacher_name
from sermm.engine.training.learner import optimizer_of
from sermm.engine.training.resuming import resumable
from sermm.models.base import CountingSystem, System
from sermm.runs.folder import RunFolder


@dataclass(frozen=True)
class Task:
    """All that one run works with.

    Attributes:
        config: resolved; a student's teacher has been found.
        folder: of the run.
        loaded: the corpus, its protocol and its texts.
        fold: what is trained on, chosen on and tested on.
        system: on the CPU; anew, or with the tokenizers that the run folder keeps.
        data: batches of the fold, with what the system reads and no more.
        unit_sources: how many utterances have their units from where, by level of units.
        cut_texts: how many texts of the fold are longer than `encoder.text.max_tokens`.
    """

    config: RunConfig
    folder: RunFolder
    loaded: Loaded
    fold: Fold
    system: System
    data: EmotionDataModule
    unit_sources: Mapping[str, Mapping[str, int]]
    cut_texts: int = 0

    @property
    def tests_last(self) -> bool:
        """Whether the last epoch is scored although validation chooses one."""
        return tests_last(self.config, self.fold)

    @property
    def remedies(self) -> RemediesConfig:
        """Those that are on, as far as the system can have them."""
        return remedies_of(self.config)

    @property
    def varied(self) -> dict[str, Any] | None:
        """Settings of what varies audio and words in training, by kind; None: nothing does."""
        audio = {} if self.data.augment is None else self.data.augment.settings
        words = self.data.reworded
        return {**audio, **({} if words is None else {OF_WORDS: words.synonyms.settings})} or None


def tests_last(config: RunConfig, fold: Fold) -> bool:
    """Whether the last epoch is scored although validation chooses one, which is kept beside it."""
    return config.trainer.test_epoch == "last" and bool(fold.val)


def prepare(
    config: RunConfig, folder: RunFolder, loaded: Loaded, fold: Fold, follows: bool = False
) -> Task:
    """Builds system and data; a run that cannot be resumed is cleared and starts anew.

    Weights of an interrupted run are not read here: Lightning takes them from `last.ckpt`.

    Args:
        config: of the run.
        folder: of the run.
        loaded: the corpus.
        fold: of the corpus.
        follows: another process of the same run has prepared the folder, and this one trains beside
            it on another device.

    Raises:
        InputError: settings do not go together, or an encoder, features or units cannot be had.
    """
    chosen = [folder.best, *([folder.other] if tests_last(config, fold) else [])]
    resumed = follows or resumable(folder, chosen)
    if not resumed:
        folder.clear()
        folder.write_status("running")
    if not follows:
        announce_device(config)
    refuse_features(config.features)
    remedies_of(config)  # Called for what it refuses.
    augment, synonyms = augmentation(config), rewording(config)
    work = work_of(config, loaded, everything(fold), levels_of(config.model.system))
    kept = streams(config) if config.features.mode == "cached" else []
    stored = ready(kept, work)
    system = _built(config, folder, loaded, fold, stored, resumed)
    if not isinstance(system, CountingSystem):
        optimizer_of(system, config.model.learning)  # Called for what it refuses.
    data = data_module(work, config, fold, system, stored, augment, synonyms)
    observe_fold(system, data, work)
    n_cut = cut_texts(system, {i: loaded.texts[i] for i in everything(fold)}, kept, stored)
    task = Task(config, folder, loaded, fold, system, data, work.sources, n_cut)
    if not follows:
        announce(task)
    return task


def _built(
    config: RunConfig,
    folder: RunFolder,
    loaded: Loaded,
    fold: Fold,
    stored: Mapping[str, StoredStream],
    resumed: bool,
) -> System:
    """The system, with its tokenizers as an interrupted run left them, or saved for the next time.

    A tokenizer of a vocabulary of its own learns from the training transcripts, once for each run.
    """
    system = build(
        config,
        n_classes=len(loaded.protocol.classes),
        assets=folder.assets if resumed else None,
        transcripts=(loaded.texts[i] for i in fold.train),
        stored={name: stream.shape for name, stream in stored.items()},
    )
    if not resumed:
        folder.assets.mkdir(parents=True)
        save_assets(system, folder.assets)
    return system


def announce_device(config: RunConfig) -> None:
    """Says of GPUs that are to be used and cannot be; to stderr."""
    if device_for(config.trainer.accelerator).type == "cuda":
        for line in lacking_kernels():
            print(f"{config.title}: {line}", file=sys.stderr, flush=True)


def announce(task: Task) -> None:
    """Says what is trained on, and what of the corpus is not as it should be; to stderr."""
    fold = task.fold
    print(
        f"{task.config.title}: train {len(fold.train)}, val {len(fold.val)}, test {len(fold.test)}",
        file=sys.stderr,
    )
    for level, sources in task.unit_sources.items():
        counts = ", ".join(f"{source} {n}" for source, n in sources.items())
        print(f"  {level}s from: {counts}", file=sys.stderr)
    announce_variation(task)
    if teacher := task.config.taught_by:
        description = f"{teacher_name(teacher)} ({teacher.key}), test UA {fixed(teacher.ua, 3)}"
        print(f"  teacher: {description}", file=sys.stderr)
    if kinds := Counter(problem.kind for problem in task.loaded.reading.problems):
        counts = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
        print(f"  problems of the corpus, listed by `sermm data`: {counts}", file=sys.stderr)
    if task.data.cut:
        most_s = task.config.trainer.max_seconds
        spelled = "characters" in task.system.needs
        left_out = ", and are left out of the CTC loss" if spelled else ""
        print(f"  {task.data.cut} utterances are cut at {most_s} s{left_out}", file=sys.stderr)
    if task.cut_texts:
        print(f"  {task.cut_texts} transcripts are cut at encoder.text.max_tokens", file=sys.stderr)


def announce_variation(task: Task) -> None:
    """Says what is done against overfitting, and what of it this system cannot have.

    A sweep over several systems has one setting for all: what one of them cannot use is no error.
    """
    name, asked = task.config.model.name, task.config.augment
    if varies_audio(asked):
        audio = str(task.data.augment or f"nothing, {name} reads no audio")
        print(f"  augmented in training: {audio}", file=sys.stderr)
    if asked.synonyms:
        words = str(task.data.reworded or f"nothing, {name} learns from no text")
        print(f"  reworded in training: {words}", file=sys.stderr)
    if task.config.remedies != NONE:
        remedies = described(task.remedies) or f"nothing, {name} counts and does not learn"
        print(f"  remedies in training: {remedies}", file=sys.stderr)


def varies_audio(asked: AugmentConfig) -> bool:
    """Whether some kind that varies audio is on."""
    return any(getattr(asked, kind) for kind in AugmentConfig.model_fields if kind != OF_WORDS)
