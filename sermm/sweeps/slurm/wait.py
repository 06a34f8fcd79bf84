"""Waits for runs that were handed to Slurm.

For `hydra/launcher=slurm`, which must return results as a pool does: what `sermm.sweeps.pool.Pool`
learns from its processes is learned here from the queue and the run folders.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sermm.core.errors import InputError
from sermm.runs.folder import RunFolder
from sermm.runs.plans import job_id
from sermm.sweeps.pool import Job
from sermm.sweeps.slurm.queue import queued

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
            busy = queued(study_dir)
        except InputError as error:
            # The controller of a cluster may be away for a while; the runs go on.
            print(error, file=sys.stderr, flush=True)
            continue
        now_s = time.monotonic()
        for name in [name for name in left if name not in busy]:
            job = left.pop(name)
            job.started_s = job.started_s or now_s
            job.exit_status = int(RunFolder(job.folder).state != "finished")
            job.ended_s = now_s
            ended(job)
        running = [job for job in left.values() if RunFolder(job.folder).state == "running"]
        for job in running:
            job.started_s = job.started_s or now_s
        watch(running)
