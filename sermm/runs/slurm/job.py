"""The Slurm job that this process belongs to, if any: what it is, what Slurm says of it.

Everything comes from Slurm's environment variables and from `scontrol`, so that there is nothing to
configure. Three things rest on it: how many processes train (`preflight`), when those that srun
starts beside the first may begin (`say_ready`, `await_ready`), and whether a job that was told to
stop goes back into the queue (`sermm.runs.stopping`).
"""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.files import write_text

# The names that Slurm gives to a shell in which somebody types.
INTERACTIVE = ("bash", "interactive")
ASK_S = 30
READY = ".ready"
READY_S = 1800
LOOK_S = 0.2


@dataclass(frozen=True)
class SlurmJob:
    """A job, or one task of a job array.

    Attributes:
        id: of the job, for an array that of the whole array.
        index: within the array; None outside one.
        nodes: of the step.
        tasks: processes that `srun` started side by side in this step; 1 without srun.
        restarts: how often it has been requeued.
    """

    id: str
    index: int | None
    nodes: int
    tasks: int
    restarts: int

    @property
    def name(self) -> str:
        """As `squeue` and `scontrol` call it."""
        return self.id if self.index is None else f"{self.id}_{self.index}"


def current_job() -> SlurmJob | None:
    """The job of this process; a shell of Slurm in which somebody types is none.

    Within `salloc` the variables are set as well; a run started by hand there is meant to be one
    process. Nodes and tasks are those of the step, as a job may run several with different numbers.
    """
    environment = os.environ
    if "SLURM_JOB_ID" not in environment or environment.get("SLURM_JOB_NAME") in INTERACTIVE:
        return None
    index = environment.get("SLURM_ARRAY_TASK_ID")
    in_step = environment.get("SLURM_STEP_ID", "").isdigit()
    return SlurmJob(
        id=environment.get("SLURM_ARRAY_JOB_ID", environment["SLURM_JOB_ID"]),
        index=None if index is None else int(index),
        nodes=int(environment.get("SLURM_STEP_NUM_NODES", "1")) if in_step else 1,
        tasks=int(environment.get("SLURM_STEP_NUM_TASKS", "1")) if in_step else 1,
        restarts=int(environment.get("SLURM_RESTART_COUNT", "0")),
    )


def nodes() -> int:
    """On how many nodes this run's processes are.

    `trainer.devices` counts over all of them; Lightning wants the number on each.
    """
    job = current_job()
    return 1 if job is None else job.nodes


def preflight(devices: int) -> str | None:
    """A line that says where the run is and what it has; None for one device outside Slurm.

    Called before the system is built: processes that srun started in the wrong number would else
    wait in training for partners that never come.

    Args:
        devices: `trainer.devices`, on all nodes together.

    Raises:
        InputError: Slurm started another number of processes than the run has devices.
    """
    job = current_job()
    if job is None:
        return f"no Slurm job: 1 node, {devices} processes and devices" if devices > 1 else None
    if job.tasks not in (1, devices) or job.tasks % job.nodes or job.nodes > job.tasks:
        raise InputError(
            f"Slurm job {job.name} started {job.tasks} processes on {job.nodes} nodes, but "
            f"trainer.devices={devices}: every device needs one process. Give srun or sbatch "
            f"--nodes={job.nodes} --ntasks-per-node={max(1, devices // job.nodes)}, or set "
            f"trainer.devices={job.tasks}"
        )
    return (
        f"Slurm job {job.name}: {job.nodes} node(s), {job.tasks} process(es) of srun, "
        f"{devices} device(s), requeued {job.restarts} times"
    )


def say_ready(folder: Path) -> None:
    """Tells the other processes of a run that srun or torchrun started that they may prepare.

    They need what the first one writes, such as the tokenizer of the training transcripts. The file
    names the attempt, so that one which an earlier attempt left does not count.

    Args:
        folder: of the run.
    """
    if (attempt := _attempt()) is not None:
        write_text(folder / READY, attempt)


def await_ready(folder: Path) -> None:
    """Waits for `say_ready` of the first process of this attempt, up to `READY_S` seconds.

    By a file, as torch's process group does not exist yet: Lightning makes it when training begins.

    Args:
        folder: of the run, on a file system that all nodes share.

    Raises:
        InputError: it does not come.
    """
    if (attempt := _attempt()) is None:
        return
    limit_s = time.monotonic() + READY_S
    while not (folder / READY).is_file() or (folder / READY).read_text() != attempt:
        if time.monotonic() > limit_s:
            raise InputError(
                f"the first process of {attempt} is not ready after {READY_S} s, or "
                f"its folder {folder} is not on a file system that all nodes share"
            )
        time.sleep(LOOK_S)


def _attempt() -> str | None:
    """What tells this attempt from earlier ones: requeued, restarted, or started anew.

    Returns:
        None where nobody has started processes beside the first: Lightning does so when that one
        is ready.
    """
    job = current_job()
    if job is not None and job.tasks > 1:
        step = os.environ["SLURM_STEP_ID"]
        return f"Slurm job {job.name}, requeued {job.restarts} times, step {step}"
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    name, port = os.environ["TORCHELASTIC_RUN_ID"], os.environ.get("MASTER_PORT")
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return f"torchrun {name}, restarted {restarts} times, port {port}"


def ask(job: str) -> dict[str, str]:
    """What `scontrol show job` says of a job, as its own keys; empty where it cannot be asked.

    Args:
        job: as `SlurmJob.name`.
    """
    try:
        answer = scontrol("show", "job", "--oneliner", job)
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(re.findall(r"(\S+?)=(\S*)", answer))


def requeue(job: SlurmJob) -> str | None:
    """Puts the job back into the queue; returns what went wrong, if anything."""
    try:
        scontrol("requeue", job.name)
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip()
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def scontrol(*words: str) -> str:
    """What `scontrol` prints; it has `ASK_S` seconds, as its daemon may hang.

    Args:
        words: its arguments.

    Raises:
        OSError: there is no scontrol.
        subprocess.SubprocessError: it failed, or did not answer in time.
    """
    return printed_by("scontrol", *words, within_s=ASK_S)


def printed_by(program: str, *words: str, within_s: int) -> str:
    """What one of Slurm's programs prints.

    Args:
        program: its name.
        words: its arguments.
        within_s: seconds that it has.

    Raises:
        OSError: there is no such program.
        subprocess.SubprocessError: it failed, or did not answer in time.
    """
    done = subprocess.run(
        [shutil.which(program) or program, *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=within_s,
    )
    return done.stdout


def ending(job: SlurmJob, fields: dict[str, str]) -> str:
    """Why Slurm is ending a job that runs no more, in words.

    Args:
        job: which, as it was when this process began.
        fields: what `ask` returned.
    """
    if int(fields.get("Restarts", job.restarts)) > job.restarts:
        return f"Slurm requeued job {job.name}"
    if fields.get("Reason") == "TimeLimit":
        return f"the time limit {fields['TimeLimit']} of Slurm job {job.name} was reached"
    return f"Slurm job {job.name} was cancelled (scancel, or a preemption without requeue)"
