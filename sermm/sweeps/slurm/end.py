"""The last step of a job's script, `python -m sermm.sweeps.slurm.end STUDY STATUS JOB...`.

A process that is killed cannot say so. When srun has ended with a failure, this marks the run
folders of the job that still say that they run. A job that got its warning before Python was ready
for it goes back into the queue.

Scripts that were submitted call this module by its name, perhaps weeks later: it cannot move
without leaving them behind.
"""

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sermm.core.errors import InputError
from sermm.runs.folder import RunFolder
from sermm.runs.metrics import progress
from sermm.runs.slurm.attempts import MOST, TIRED, count
from sermm.runs.slurm.job import SlurmJob, ask, current_job, ending, requeue
from sermm.runs.status import Reported, Status
from sermm.runs.studies import run_folders

_DIED_OF = 128
_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)


def main(words: Sequence[str]) -> int:
    """Marks the folders; returns the exit status.

    Args:
        words: the study's folder, the exit status of srun, and the ids of the jobs
            (`sermm.runs.plans.job_id`) that ran in this task.
    """
    study_dir, status, ids = Path(words[0]), int(words[1]), set(words[2:])
    job = current_job()
    if job is None:
        print("sermm.sweeps.slurm.end is for the scripts of Slurm jobs", file=sys.stderr)
        return 2
    fields = ask(job.name)
    state, reason = verdict(job, status, fields)
    for folder in left_running(study_dir, ids, job.name):
        folder.write_status(state, reason)
        print(f"{folder.path}: {state}: {reason}", file=sys.stderr, flush=True)
    warned = status - _DIED_OF in _WARNINGS
    if warned and fields.get("JobState") == "RUNNING" and fields.get("Requeue") == "1":
        problem = TIRED if is_tired(study_dir, ids, job.name) else requeue(job)
        print(problem or f"requeued {job.name}", file=sys.stderr, flush=True)
    return 0


def is_tired(study_dir: Path, ids: set[str], name: str) -> bool:
    """Whether none of the jobs has got on for too many attempts; counts this one.

    Args:
        study_dir: of the runs.
        ids: of the jobs.
        name: of the Slurm job.
    """
    epochs = dict.fromkeys(ids, 0)
    for path in run_folders(study_dir):
        with suppress(OSError, InputError):
            if (job := Status.read(path).job) in epochs:
                epochs[job] = progress(path)[0] or 0
    return min(count(study_dir, job, name, n) for job, n in epochs.items()) >= MOST


def verdict(job: SlurmJob, status: int, fields: dict[str, str]) -> tuple[Reported, str]:
    """What a run came to whose process could not say it.

    Args:
        job: that the process belonged to.
        status: the exit status of srun; 128 and the number of a signal for a process that died of
            it.
        fields: what Slurm says of the job (`sermm.runs.slurm.job.ask`); empty where it cannot be
            asked.

    Returns:
        The state to be written, and the reason for people. Where Slurm is ending the job the run
        can go on later, and is interrupted; where its process died alone it has failed.
    """
    if fields.get("JobState") != "RUNNING":
        return "interrupted", ending(job, fields)
    try:
        name = signal.Signals(status - _DIED_OF).name
    except ValueError:
        return "failed", f"its process ended with exit status {status} in Slurm job {job.name}"
    why = " (out of memory, or another process of the run failed)" if name == "SIGKILL" else ""
    return "failed", f"its process was ended by {name} in Slurm job {job.name}{why}; see its log"


def left_running(study_dir: Path, ids: set[str], name: str) -> list[RunFolder]:
    """The run folders of these jobs that say that this Slurm job is running them.

    Args:
        study_dir: of the runs.
        ids: of the jobs.
        name: of the Slurm job; a run that has gone on in another one is not this one's to mark.
    """
    found = []
    for path in run_folders(study_dir):
        # what is damaged does not say so
        with suppress(OSError, InputError):
            status = Status.read(path)
            if status.state == "running" and status.job in ids and status.slurm == name:
                found.append(RunFolder(path, status.job))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
