"""Waits for runs that were handed to Slurm.

For `hydra/launcher=slurm`, which must return results as a pool does: what `sermm.sweeps.pool.Pool`
learns from its processes is learned here from the queue and the run folders.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sermm.core.errors import INTERRUPTED
from sermm.runs.folder import RunFolder
from sermm.runs.plans import job_id
from sermm.sweeps.pool import Job
from sermm.sweeps.slurm.queue import QueueError, Task, remembered, tasks
from sermm.sweeps.slurm.states import ended as verdict

LOOK_S = 5.0


def await_jobs(
    study_dir: Path,
    jobs: Sequence[Job],
    ended: Callable[[Job], None],
    watch: Callable[[Sequence[Job]], None],
) -> None:
    """Returns when none of the jobs is in the queue any more; a requeued one is.

    Args:
        study_dir: of the jobs.
        jobs: that were submitted.
        ended: called with each job that has left the queue.
        watch: called now and then with the jobs that run.
    """
    left = {job_id(job.words): job for job in jobs}
    while left:
        time.sleep(LOOK_S)
        try:
            found = tasks(study_dir)
        except QueueError as error:
            # The controller of a cluster may be away for a while; the runs go on.
            print(error, file=sys.stderr, flush=True)
            continue
        now_s = time.monotonic()
        gone = [name for name in left if not (name in found and found[name].alive)]
        found = remembered(found, [name for name in gone if name in found and found[name].silent])
        for name in gone:
            job = left.pop(name)
            job.started_s, job.ended_s = job.started_s or now_s, now_s
            _take_in(job, found.get(name))
            ended(job)
        running = [job for job in left.values() if RunFolder(job.folder).state == "running"]
        for job in running:
            job.started_s = job.started_s or now_s
        watch(running)


def _take_in(job: Job, task: Task | None) -> None:
    """Says how the process of a job ended: as its script says, and where it cannot, as Slurm."""
    folder = RunFolder(job.folder)
    if folder.state == "finished":
        job.exit_status = 0
        return
    if task is None:
        job.exit_status = INTERRUPTED
        job.ended_by = "it has left Slurm's queue, and nothing is known of its end"
        return
    state, job.ended_by = verdict(task, job.log, begun=folder.state is not None)
    known = 1 if state == "failed" else INTERRUPTED
    job.exit_status = task.exit_status or known
    if not job.log.is_file():
        job.log = task.log
