"""What of a study Slurm has, and what is missing.

Each submitted array has a record `.sweeps/slurm/<array id>.json` that lists its jobs; `squeue`
knows array and index, and together they tell which job of the study waits or runs.
"""

import subprocess
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.files import read_json
from sermm.runs.plans import FOLDER, PlannedJob
from sermm.sweeps.slurm.settings import SlurmSettings
from sermm.sweeps.study import missing_and_running

ASK_S = 60


def last_settings(study_dir: Path) -> SlurmSettings:
    """Those of the last submission.

    Raises:
        InputError: there was none.
    """
    records = _records(study_dir)
    if not records:
        raise InputError(
            f"nothing of {study_dir} was submitted by sermm submit; give that command, or the "
            "sweep's own again, which goes on where it stopped"
        )
    return SlurmSettings.of(read_json(records[-1])["settings"])


def missing(study_dir: Path) -> tuple[list[PlannedJob], int]:
    """The jobs to submit again, and how many others are running or waiting.

    A job is missing if it was planned and is neither finished, nor running, nor in the queue. There
    is nothing to do for one that found its run finished, or whose protocol has no such fold.
    """
    busy = queued(study_dir)
    left, running = missing_and_running(study_dir)
    lost = [job for job in left if job.id not in busy]
    return lost, len(left) + len(running) - len(lost)


def queued(study_dir: Path) -> set[str]:
    """The jobs of the study that are in Slurm's queue, waiting or running.

    Raises:
        InputError: Slurm cannot be asked, and so a job might be submitted twice.
    """
    records = {path.stem: path for path in _records(study_dir)}
    if not records:
        return set()
    command = ["squeue", "--me", "--array", "--noheader", "--format=%F %K"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=ASK_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(
            f"squeue does not answer ({error}); without it runs that wait in the queue would be "
            "submitted twice. Try again on a login node of the cluster"
        ) from error
    found: set[str] = set()
    for array, index in (line.split() for line in done.stdout.splitlines()):
        if array in records and index.isdigit():
            record = read_json(records[array])
            start = (int(index) - 1) * record["pack"]
            found.update(record["jobs"][start : start + record["pack"]])
    return found


def _records(study_dir: Path) -> list[Path]:
    """What was submitted, oldest first: a file for each array, named by Slurm's id of it."""
    paths = (study_dir / FOLDER / "slurm").glob("*.json")
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))
