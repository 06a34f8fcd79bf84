"""A finished model as a W&B artifact: the files of its run folder from which it is used again.

Downloaded, it is a folder that `sermm predict` and `sermm evaluate` take as they take the run's.
"""

from pathlib import Path

import wandb

from sermm.runs.folder import RunFolder
from sermm.runs.layout import CONFIG, RESULT, STATUS
from sermm.runs.result import Result

KIND = "model"


def artifact(result: Result, folder: Path) -> wandb.Artifact:
    """The artifact, with nothing copied yet or uploaded.

    Args:
        result: of the run; its scores stand beside the files.
        folder: of the run, which must stay where it is until W&B has got the files.
    """
    made = wandb.Artifact(
        f"{KIND}-{result.key}",
        type=KIND,
        description=f"{result.variant}, {result.place}; its run folder: {folder.resolve()}",
        metadata={
            "key": result.key,
            "study": result.study,
            "system_key": result.system,
            "model": result.model,
            "settings": result.settings,
            "data": result.data,
            "protocol": result.protocol,
            "fold": result.fold,
            "seed": result.seed,
            "epoch": result.epochs.best,
            **{name: value for name, value in result.metrics.items() if value is not None},
            "versions": result.versions,
            "commit": result.git.commit,
            "run_folder": str(folder.resolve()),
        },
    )
    run = RunFolder(folder)
    for path in (folder / CONFIG, folder / STATUS, folder / RESULT, run.best, run.assets):
        name = str(path.relative_to(folder))
        # Uploaded from where they lie: a checkpoint may take gigabytes, and does not change.
        if path.is_dir():
            made.add_dir(str(path), name=name, skip_cache=True, policy="immutable")
        elif path.is_file():
            made.add_file(str(path), name=name, skip_cache=True, policy="immutable")
    return made
