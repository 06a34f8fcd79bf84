"""The training tasks that `sermm bench` times: made-up speech, the demo's tiny encoders.

Encoders are tiny on purpose: what is measured is all that happens around them. The bare loop has
the same system, batches and optimiser, and nothing else.
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer

from sermm.configuration.groups import HUMAN
from sermm.configuration.verbs import RunConfig
from sermm.core.memory import peak_bytes
from sermm.core.records import Fold, Reading, Utterance
from sermm.core.seeding import generator
from sermm.engine.assembly.build import build, save_assets
from sermm.engine.fold_data import data_module
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.work import work_of
from sermm.engine.training.fit import class_counts, fit
from sermm.engine.training.learner import Learner, parameter_groups
from sermm.engine.training.task import Task
from sermm.models.base import labels_of
from sermm.protocols.balance import Balance
from sermm.protocols.folds import TalkerGroups
from sermm.protocols.protocol import Protocol
from sermm.runs.folder import RunFolder

WARM_UP = 1


def write_speech(root: Path, n: int) -> tuple[list[Utterance], dict[str, float]]:
    """Noise of 1.5 to 4.5 s in wav files, four classes, two talkers with as many utterances.

    Args:
        root: folder of the files.
        n: utterances.

    Returns:
        The utterances, and their durations in seconds by id.
    """
    rng = generator(0, "bench", n)
    root.mkdir(parents=True, exist_ok=True)
    utterances, durations = [], {}
    for i in range(n):
        seconds = float(rng.uniform(1.5, 4.5))
        path = root / f"{i:06d}.wav"
        noise = rng.normal(0, 3000, round(16000 * seconds)).astype(np.int16)
        soundfile.write(path, noise, 16000)
        label, talker = ("ang", "hap", "neu", "sad")[i % 4], str(i // 4 % 2)
        transcript = " ".join(rng.choice(["one", "two", "three", "four"], 8))
        utterances.append(Utterance(path.stem, "bench", path, label, talker, transcript=transcript))
        durations[path.stem] = seconds
    return utterances, durations


@dataclass(frozen=True)
class Silent:
    """A reader of what has been read."""

    reading: Reading

    def read(self) -> Reading:
        """The reading."""
        return self.reading


def speech_task(root: Path, n: int = 1280, more: Sequence[str] = ()) -> Task:
    """Late fusion of the demo's encoders over n utterances, without validation.

    Args:
        root: folder for sound and run.
        n: utterances; one talker's are to train on, the other's to test.
        more: further overrides of the configuration.
    """
    overrides = ["experiment=demo", "model=late_fusion", "trainer.accelerator=cpu", *more]
    config = RunConfig.of(overrides)
    utterances, durations = write_speech(root / "audio", n)
    train = tuple(u.id for u in utterances if u.speaker == "0")
    test = tuple(u.id for u in utterances if u.speaker == "1")
    classes = ("ang", "hap", "neu", "sad")
    protocol = Protocol("bench", {c: c for c in classes}, classes, fold_rule=TalkerGroups(2))
    reading = Reading(tuple(utterances))
    texts = {u.id: u.transcript or "" for u in utterances}
    source, balance = {"source": HUMAN}, Balance.of(reading, protocol)
    loaded = Loaded(Silent(reading), reading, protocol, durations, {}, texts, source, balance)
    fold = Fold(1, train, (), test)
    folder = RunFolder(root / "run")
    system = build(config, 4, None, texts.values())
    save_assets(system, folder.assets)
    data = data_module(work_of(config, loaded, train + test, []), config, fold, system)
    return Task(config, folder, loaded, fold, system, data, {})


def bare_epochs(task: Task, n: int) -> float:
    """Seconds of the fastest epoch of a plain loop over batches that are in memory.

    Args:
        task: its batches are all made before the clock starts, and its system is trained.
        n: epochs after a warm-up.
    """
    options = task.config.model.learning
    batches = list(task.data.train_dataloader())
    optimizer = options.optimizer.make()(
        list(parameter_groups(task.system, options)), lr=options.lr
    )
    clip_norm = task.config.trainer.clip_norm or math.inf
    task.system.train()
    times = []
    for _ in range(WARM_UP + n):
        start_s = time.perf_counter()
        for batch in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(task.system(batch).logits, labels_of(batch))
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(task.system.parameters(), clip_norm)
            optimizer.step()
        times.append(time.perf_counter() - start_s)
    return min(times[WARM_UP:])


class Clock(Callback):
    """Seconds from the start of each epoch to the start of the next.

    Attributes:
        starts: of every epoch, and the end of the last one.
    """

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Notes the time."""
        self.starts.append(time.perf_counter())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Notes the time."""
        self.starts.append(time.perf_counter())


def lightning_epochs(task: Task, n: int) -> float:
    """Seconds of the fastest whole epoch of a run: serving, training, keeping checkpoints.

    Args:
        task: is trained in its own run folder.
        n: epochs after a warm-up.
    """
    clock = Clock()
    config = task.config.changed({"trainer.max_epochs": WARM_UP + n})
    fit(replace(task, config=config), [clock])
    return min(
        b - a for a, b in zip(clock.starts[WARM_UP:], clock.starts[WARM_UP + 1 :], strict=False)
    )


def serve_main() -> None:
    """Serves an epoch twice and prints this process's peak memory in bytes.

    For a process of its own, see `memory_case`: `argv[1]` is a folder for the sound, `argv[2]` how
    many utterances.

    Raises:
        RuntimeError: utterances are missing, so that the peak would be too low.
    """
    root, n = Path(sys.argv[1]), int(sys.argv[2])
    task = speech_task(root, n, ["trainer.keep_audio_mb=0"])
    Learner(task.system, task.config.model.learning, class_counts(task))
    for _ in range(2):
        seen = sum(len(batch) for batch in task.data.train_dataloader())
    if seen != len(task.fold.train):
        raise RuntimeError(f"served {seen} of {len(task.fold.train)} utterances")
    print(peak_bytes())
