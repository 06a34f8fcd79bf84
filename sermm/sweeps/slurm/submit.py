"""Hands the runs of a study to Slurm, and remembers which.

The record of an array is written once Slurm has given it an id, so that no record names what Slurm
has never had.
"""

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.files import write_text
from sermm.core.slurm_time import clock, seconds_of
from sermm.runs.plans import PlannedJob, logs_folder
from sermm.runs.slurm.job import scontrol
from sermm.sweeps.slurm.arrays import Array, folder_of
from sermm.sweeps.slurm.script import report_script, script, table
from sermm.sweeps.slurm.settings import SlurmSettings

# Slurm's own default; an index must be below it.
MAX_ARRAY = 1001
ASK_S = 60


@dataclass(frozen=True)
class Written:
    """The scripts of a study's jobs, which can be submitted.

    Attributes:
        paths: of the script of each array.
        report: of the script of the report; None where none is wanted.
    """

    paths: tuple[Path, ...]
    report: Path | None

    @property
    def by_hand(self) -> list[str]:
        """The commands that submit them."""
        arrays = [shlex.join(["sbatch", str(path)]) for path in self.paths]
        if self.report is None:
            return arrays
        after = f"--dependency=afterany:{':'.join(['ID'] * len(arrays))}"
        return [*arrays, shlex.join(["sbatch", after, str(self.report)])]


def write(study_dir: Path, jobs: Sequence[PlannedJob], settings: SlurmSettings) -> Written:
    """Writes the scripts into the study's folder; several where one array would be too long.

    The files of an array are named by a digest of its jobs: the same jobs again replace them.

    Args:
        study_dir: may be relative; the scripts name it by its absolute path.
        jobs: one line of a table each.
        settings: of the arrays.

    Raises:
        InputError: the settings do not go together.
    """
    study_dir, pack = study_dir.absolute(), settings.asked.pack
    folder = folder_of(study_dir)
    share = (max_array() - 1) * pack
    paths: list[Path] = []
    for first in range(0, len(jobs), share):
        chunk = jobs[first : first + share]
        ids = tuple(job.id for job in chunk)
        base = folder / f"array-{digest(ids)[:16]}"
        text = script(study_dir, base, -(-len(chunk) // pack), settings)
        for made in (folder, logs_folder(study_dir)):
            made.mkdir(parents=True, exist_ok=True)
        paths.append(base.with_suffix(".sh"))
        write_text(base.with_suffix(".jobs"), table(chunk))
        Array(str(paths[-1]), settings.as_json(), pack, ids).write(base.with_suffix(".json"))
        write_text(paths[-1], text)
    report = folder / "report.sh" if settings.asked.report else None
    if report is not None:
        write_text(report, report_script(study_dir, settings))
    return Written(tuple(paths), report)


def submit(study_dir: Path, made: Written, before: Sequence[str] = ()) -> list[str]:
    """Submits the scripts, that of the report after all others.

    Args:
        study_dir: gets a record of each array.
        made: by `write`.
        before: arrays that the report waits for too.

    Returns:
        The ids of the arrays, then that of the report's job if there is one.

    Raises:
        InputError: there is no sbatch, or it refuses; what it took before is recorded.
    """
    ids: list[str] = []
    for path in made.paths:
        try:
            ids.append(sbatch([str(path)], made))
        except InputError as error:
            if not ids:
                raise
            raise InputError(
                f"{error}. Job {', '.join(ids)} of {len(made.paths)} is in the queue already; the "
                "same command submits the rest"
            ) from error
        Array.read(path.with_suffix(".json")).write(folder_of(study_dir) / f"{ids[-1]}.json")
    if made.report is not None:
        after = f"--dependency=afterany:{':'.join([*before, *ids])}"
        ids.append(sbatch([after, str(made.report)], made))
    return ids


def sbatch(words: Sequence[str], made: Written) -> str:
    """Submits one script; returns the id that Slurm gives it.

    Args:
        words: options and the script.
        made: for the error, which says how to do it by hand.

    Raises:
        InputError: there is no sbatch, or it refuses.
    """
    command = ["sbatch", "--parsable", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ASK_S, env=_environment()
        )
    except FileNotFoundError as error:
        raise InputError(
            f"there is no sbatch on this machine. The scripts are written; on a login node of the "
            f"cluster: {'; '.join(made.by_hand)}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"sbatch has not answered for {ASK_S} s; `squeue` shows whether it took {words[-1]}, "
            "and the same command submits what is not there"
        ) from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip()
        raise InputError(f"sbatch refuses {words[-1]}: {said}; {_way_out(said)}") from error
    return done.stdout.strip().split(";")[0]


def _way_out(said: str) -> str:
    """What may help where sbatch refuses a script."""
    if "generic resource" in said.lower() or "gres" in said.lower():
        return (
            "this cluster, or the partition, has no such GPUs: gpus=0 (with "
            "trainer.accelerator=cpu) for none, or gpus_per_node=TYPE:N, or gres=gpu:TYPE:N"
        )
    return "change the settings, or the script, and submit it again"


def _environment() -> dict[str, str]:
    """Without what Slurm told a job that submits others, which sbatch would take for options."""
    return {k: v for k, v in os.environ.items() if k == "SLURM_CONF" or k[:6] != "SLURM_"}


def cost(n_runs: int, settings: SlurmSettings) -> str:
    """What so many runs may take at most, for people.

    Args:
        n_runs: in all arrays together.
        settings: of the arrays.
    """
    asked, devices = settings.asked, settings.devices
    n_tasks = -(-n_runs // asked.pack)
    gpus = asked.gpus_of_task(devices)
    cores = asked.cpus * (asked.pack if asked.pack > 1 else devices)
    parts = [(gpus, "GPU"), (cores, "core")] if gpus else [(cores, "core")]
    each = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in parts)
    n = f"{n_tasks:,} task{'' if n_tasks == 1 else 's'} of {each}"
    limit_s = None if asked.time is None else seconds_of(asked.time)
    if limit_s is None:
        without = "no time limit" if asked.time else "the partition's own time limit (time=)"
        return f"{n}, {without}"
    unit, share = ("GPU", gpus) if gpus else ("core", cores)
    return f"{n}, {clock(limit_s)} each: at most {_hours(n_tasks * share * limit_s)} {unit} hours"


def _hours(seconds: int) -> str:
    return f"{-(-seconds // 3600):,}"


def max_array() -> int:
    """One more than the largest index of an array on this cluster; Slurm's default if unknown."""
    try:
        answer = scontrol("show", "config")
    except (OSError, subprocess.SubprocessError):
        return MAX_ARRAY
    lines = [line.split("=") for line in answer.splitlines() if line.startswith("MaxArraySize")]
    return int(lines[0][1]) if lines else MAX_ARRAY
