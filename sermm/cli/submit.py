"""sermm submit [key=value ...]: hand the runs of a sweep to Slurm, and return at once.

Takes the words of `sermm train -m`, writes a job array of single runs, one task for each (or for
`pack` of them), and submits it by sbatch. The script is there to be read, and to be submitted by
hand: runs/<study>/.sweeps/slurm/<name>.sh.

  sermm submit experiment=demo time=0:30:00 gpus=0
  sermm submit model=late_fusion,coattention 'fold=range(1,6)' partition=gpu time=8:00:00
  sermm submit experiment=li2025/table1 submit=<cluster>     settings of conf/submit/<cluster>.yaml
  sermm submit ... trainer.devices=8 nodes=2                 8 processes, 4 on each node
  sermm submit ... pack=4                                    4 runs side by side on one GPU

Settings: account, partition, gpus, nodes, cpus, memory, time, options (further ones of sbatch),
setup (lines of shell, such as 'setup=["module load cuda"]'), python, requeue, signal, at_most,
pack; dry_run=true writes and prints the script only. `sermm status STUDY` and `sermm report STUDY`
look on, `sermm retry STUDY` submits what is missing.
"""

from collections.abc import Sequence

from sermm.core.errors import InputError

USAGE = "sermm submit [words of sermm train] [partition= time= gpus= pack= ...] [dry_run=true]"
_MULTIRUN = ("-m", "--multirun")


def run(arguments: Sequence[str]) -> int:
    """Submits; returns the exit status."""
    from sermm.configuration.arguments import parse_own
    from sermm.configuration.verbs import RunConfig, SubmitConfig, as_typed
    from sermm.runs.folder import make_folder
    from sermm.runs.plans import write_plan
    from sermm.sweeps.expansion import expand
    from sermm.sweeps.slurm.settings import SlurmSettings
    from sermm.sweeps.slurm.submit import submit, write

    words = as_typed([a for a in arguments if a not in _MULTIRUN])
    known = dict.fromkeys(["submit", *SubmitConfig.model_fields], None)
    odd, own, task = parse_own(words, known, USAGE)
    if odd:
        raise InputError(f"{odd[0]!r} is not key=value. Usage: {USAGE}")
    given = SubmitConfig.of([f"{k}={v}" for k, v in own.items() if v is not None])
    jobs = expand(task, multirun=len(words) < len(arguments))
    # A misspelt key or a place that cannot be written is found before anything is in the queue.
    config = RunConfig.of(jobs[0].words)
    study_dir = config.study_dir.absolute()
    make_folder(study_dir)
    written = write(study_dir, jobs, SlurmSettings.for_runs(given, config.trainer))
    if given.dry_run:
        print(written.path.read_text(encoding="utf-8"))
        print(f"{len(jobs)} runs in {written.path}; nothing was submitted")
        return 0
    ids = submit(study_dir, written)
    write_plan(study_dir, jobs)
    study = config.study
    print(f"submitted {len(jobs)} runs of study {study} as Slurm job {', '.join(ids)}")
    print(f"script: {written.path}")
    if config.combine is not None:
        print("combine: when all have finished, give the words to sermm train -m, which adds it")
    print(f"sermm status {study}: how they are; sermm retry {study}: submits what is missing;")
    print(f"sermm report {study}: tables and figures; scancel {' '.join(ids)}: stops them")
    return 0
