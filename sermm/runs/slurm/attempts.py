"""Counts how often a run has gone back into Slurm's queue without getting on.

A time limit that is too short for one epoch, or for Python to start, would have a task requeued for
ever: what it costs is all that it does.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sermm.core.files import read_json, write_json
from sermm.runs.fields import record
from sermm.runs.plans import FOLDER

# Attempts without a whole epoch, after which a run is not requeued any more.
MOST = 3
TIRED = f"{MOST} attempts without a whole epoch, so it is not requeued; ask for more time="


@dataclass(frozen=True)
class _Attempts:
    """What was written when the run went back the last time.

    Attributes:
        slurm: Slurm's name of the job.
        epochs: that it had finished by then.
        fruitless: attempts in a row without one.
    """

    slurm: str
    epochs: int
    fruitless: int


def count(study_dir: Path, job: str, slurm: str, epochs: int) -> int:
    """Counts an attempt that ends; returns how many in a row have finished no epoch.

    Args:
        study_dir: of the run.
        job: its id among the planned ones, or its key.
        slurm: Slurm's name of the job; another one begins to count anew.
        epochs: that the run has finished in all.
    """
    path = study_dir / FOLDER / "attempts" / f"{job}.json"
    before = None
    with suppress(OSError, ValueError):
        before = record(_Attempts, read_json(path), path.name)
    if before is None or before.slurm != slurm:
        fruitless = int(epochs == 0)
    else:
        fruitless = before.fruitless + 1 if epochs <= before.epochs else 0
    write_json(path, asdict(_Attempts(slurm, epochs, fruitless)))
    return fruitless
