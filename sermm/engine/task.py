"""What one run works with: its folder, corpus, fold, system and batches."""

import dataclasses
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sermm.core.records import Fold
from sermm.core.transcripts import spoken
from sermm.data.datamodule import EmotionDataModule
from sermm.engine.assembly import build, save_assets
from sermm.engine.corpus import Loaded
from sermm.engine.inference import device_for
from sermm.engine.run_folder import RunFolder
from sermm.models.base import System


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
