"""How Lightning is told who starts the processes of a run.

Lightning's own guess takes any machine that has Slurm for a job, a login node too, and its
requeueing would compete with ours (`sermm.runs.stopping`); so the trainer gets a
`ClusterEnvironment` that is decided here.
"""

import os

from lightning.fabric.plugins import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from sermm.runs.slurm.job import current_job


def cluster() -> ClusterEnvironment:
    """Who starts the processes of a run: Slurm's srun, torchrun, or Lightning itself.

    Lightning's own guess takes any machine that has Slurm for a job. Its requeueing is ours.
    """
    job = current_job()
    if job is not None and job.tasks > 1:
        # Lightning wants it told; srun tells it only where it was given.
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(job.tasks // job.nodes))
        return SLURMEnvironment(auto_requeue=False)
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    return LightningEnvironment()
