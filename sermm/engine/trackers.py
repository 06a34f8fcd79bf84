"""Experiment trackers beside the run folder, which stays the record."""

import os
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger


def finish_trackers() -> None:
    """Ends the W&B run of this process, if there is one, so that no two folds share it."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()


def wandb_logger(
    project: str, entity: str | None, plain: dict[str, Any], folder: Path
) -> WandbLogger:
    """One W&B run per fold and seed, named by the run key; offline where there is no key.

    Args:
        project: of W&B.
        entity: user or team; None = the default.
        plain: the resolved configuration, complete from the first second.
        folder: of the run.
    """
    names = [plain["study"], plain["model"]["name"], plain["protocol"]["name"]]
    return WandbLogger(
        name=f"{names[1]} fold {plain['fold']} seed {plain['seed']}",
        project=project,
        entity=entity,
        id=folder.name,
        resume="allow",
        group="/".join(names),
        job_type=f"fold{plain['fold']}",
        config=plain,
        save_dir=folder,
        offline=not (os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE")),
    )
