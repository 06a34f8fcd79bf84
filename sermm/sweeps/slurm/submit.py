"""Hands the runs of a study to Slurm, and remembers which.

The record of an array is written once Slurm has given it an id, so that no record names what Slurm
has never had.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.files import write_json, write_text
from sermm.runs.plans import FOLDER, PlannedJob
from sermm.runs.slurm_job import scontrol
from sermm.sweeps.slurm.script import script, table
from sermm.sweeps.slurm.settings import SlurmSettings

# Slurm's own default; an index must be below it.
MAX_ARRAY = 1001
ASK_S = 60


@dataclass(frozen=True)
class Written:
    """A script that can be submitted.

    Attributes:
        path: of the script.
        jobs: of its table, in order.
        settings: that it was written from.
    """

    path: Path
    jobs: tuple[PlannedJob, ...]
    settings: SlurmSettings


def write(study_dir: Path, jobs: Sequence[PlannedJob], settings: SlurmSettings) -> Written:
    """Writes script and table into the study's folder.

    Both are named by a digest of the jobs: the same jobs again replace their own files.

    Args:
        study_dir: may be relative; the script names it by its absolute path.
        jobs: one line of the table each.
        settings: of the array.

    Raises:
        InputError: the settings do not go together.
    """
    study_dir = study_dir.absolute()
    folder = study_dir / FOLDER / "slurm"
    name = digest([job.id for job in jobs])[:16]
    path, table_path = folder / f"{name}.sh", folder / f"{name}.jobs"
    text = script(study_dir, table_path, settings)
    for made in (folder, study_dir / FOLDER / "logs"):
        made.mkdir(parents=True, exist_ok=True)
    write_text(table_path, table(jobs))
    write_text(path, text)
    return Written(path, tuple(jobs), settings)


def submit(study_dir: Path, written: Written) -> list[str]:
    """Submits a script, as several arrays where one would be too long.

    Args:
        study_dir: gets a record of each array.
        written: by `write`.

    Returns:
        The ids of the arrays.

    Raises:
        InputError: there is no sbatch, or it refuses.
    """
    pack, jobs, made = written.settings.asked.pack, written.jobs, []
    most = max_array() - 1
    for first in range(0, len(jobs), most * pack):
        chunk = jobs[first : first + most * pack]
        n_tasks = -(-len(chunk) // pack)
        made.append(sbatch(written, n_tasks, first))
        record = {
            "script": str(written.path),
            "settings": written.settings.as_json(),
            "pack": pack,
            "jobs": [job.id for job in chunk],
        }
        write_json(study_dir / FOLDER / "slurm" / f"{made[-1]}.json", record)
    return made


def sbatch(written: Written, n_tasks: int, before: int) -> str:
    """Submits one array of `n_tasks`, after `before` lines of the table; returns its id.

    Args:
        written: by `write`.
        n_tasks: indices 1..n_tasks, each with `pack` lines.
        before: lines of the table that belong to arrays before this one.

    Raises:
        InputError: there is no sbatch, or it refuses.
    """
    at_most = written.settings.asked.at_most
    array = f"1-{n_tasks}" + (f"%{at_most}" if at_most else "")
    command = ["sbatch", "--parsable", f"--array={array}", str(written.path), str(before)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ASK_S, env=_environment()
        )
    except FileNotFoundError as error:
        raise InputError(
            f"there is no sbatch on this machine. The script is written: {written.path}; on a "
            f"login node of the cluster: sbatch --array={array} '{written.path}'"
        ) from error
    except subprocess.CalledProcessError as error:
        raise InputError(
            f"sbatch refuses {written.path}: {error.stderr.strip()}; change the settings, or the "
            "script, and submit it again"
        ) from error
    return done.stdout.strip().split(";")[0]


def _environment() -> dict[str, str]:
    """Without what Slurm told a job that submits others, which sbatch would take for options."""
    return {k: v for k, v in os.environ.items() if k == "SLURM_CONF" or k[:6] != "SLURM_"}


def max_array() -> int:
    """One more than the largest index of an array on this cluster; Slurm's default if unknown."""
    try:
        answer = scontrol("show", "config")
    except (OSError, subprocess.SubprocessError):
        return MAX_ARRAY
    lines = [line.split("=") for line in answer.splitlines() if line.startswith("MaxArraySize")]
    return int(lines[0][1]) if lines else MAX_ARRAY
