"""sermm submit [key=value ...]: hand the runs of a sweep to Slurm, and return at once.

Takes the words of `sermm train -m`, composes every job, and submits a job array of single runs by
sbatch, one task for each (or for `pack` of them). Given again it submits what is neither finished
nor in the queue. The script is there to be read, and to be submitted by hand with all that it needs
in it: runs/<study>/.sweeps/slurm/array-<digest>.sh.

  sermm submit experiment=demo time=0:30:00 gpus=0
  sermm submit model=late_fusion,coattention 'fold=range(1,6)' partition=gpu time=8:00:00
  sermm submit ... gpus_per_node=a100:1 mem=32G qos=low mail_user=me@lab.org mail_type=END,FAIL
  sermm submit ... timeout_min=480 mem_gb=32 array_parallelism=10    submitit's words, the same
  sermm submit experiment=li2025/table1 submit=<cluster>     settings of conf/submit/<cluster>.yaml
  sermm submit ... trainer.devices=8 nodes=2                 8 processes, 4 on each node
  sermm submit ... pack=4                                    4 runs side by side on one GPU
  sermm submit ... report=true                               and a job that reports when all ended

Settings in Slurm's words, all with an example:
  account=lab partition=gpu qos=low constraint=a100 reservation=class nodelist=n[1-3] exclude=n7
  dependency=afterok:1234 time=8:00:00 mem=32G nodes=2 cpus_per_task=8 gpus_per_node=a100:1
  gres=gpu:1 job_name=night mail_user=me@lab.org mail_type=END,FAIL signal=USR1@120 requeue=false
and further ones: gpus=1 (of a run), at_most=10 (tasks at a time), pack=4,
'setup=["module load cuda"]' (lines of shell), python=~/env/bin/python, report=true,
'options=["--comment=night"]' (any other option of sbatch); dry_run=true writes and prints the
script only. `sermm status STUDY` and `sermm report STUDY` look on, `sermm retry STUDY` submits what
is missing.
"""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sermm.core.errors import InputError

if TYPE_CHECKING:
    from sermm.sweeps.slurm.handing import Handed
    from sermm.sweeps.slurm.settings import SlurmSettings

USAGE = "sermm submit [words of sermm train] [partition= time= gpus= pack= ...] [dry_run=true]"
_MULTIRUN = ("-m", "--multirun")


def run(arguments: Sequence[str]) -> int:
    """Submits; returns the exit status."""
    from sermm.configuration.arguments import parse_own
    from sermm.configuration.slurm import SubmitConfig, in_our_words
    from sermm.configuration.verbs import as_typed
    from sermm.runs.folder import make_folder
    from sermm.sweeps.expansion import composed, distinct, expand
    from sermm.sweeps.slurm.handing import hand_over
    from sermm.sweeps.slurm.script import check
    from sermm.sweeps.slurm.settings import SlurmSettings

    words = in_our_words([a for a in arguments if a not in _MULTIRUN])
    known = dict.fromkeys(["submit", *SubmitConfig.model_fields], None)
    odd, own, task = parse_own(words, known, USAGE)
    if odd:
        raise InputError(f"{odd[0]!r} is not key=value. Usage: {USAGE}")
    asked = SubmitConfig.of([f"{k}={v}" for k, v in own.items() if v is not None])
    jobs = expand(as_typed(task), multirun=len(words) < len(arguments))
    # What is wrong with one would else be found out by the cluster, a day later perhaps.
    configs = composed(jobs)
    settings = SlurmSettings.for_all(asked, [config.trainer for config in configs])
    check(settings)
    jobs, same = distinct(jobs, configs)
    study_dir = configs[0].study_dir.absolute()
    make_folder(study_dir)
    handed = hand_over(study_dir, jobs, settings)
    print(*same, *said(handed, settings, len(jobs), study_dir.name), sep="\n")
    if configs[0].combine is not None:
        print("combine: when all have finished, give the words to sermm train -m, which adds it")
    return 0


def said(handed: "Handed", settings: "SlurmSettings", n: int, study: str) -> list[str]:
    """What is printed of jobs that were handed to Slurm, a line each.

    Args:
        handed: what became of them.
        settings: of their array.
        n: how many were wanted.
        study: its name.
    """
    left, name, lines = handed.left, shlex.quote(study), list[str]()
    if left.busy or left.settled:
        lines.append(f"{left.settled} of {n} runs are finished, {left.busy} running or waiting")
    if handed.made is None:
        return [*lines, f"nothing is missing of {study}; sermm status {name}: how they are"]
    runs = f"{len(left.missing)} run{'' if len(left.missing) == 1 else 's'}"
    if not handed.ids:
        texts = [path.read_text(encoding="utf-8") for path in handed.made.paths]
        return [
            *texts,
            *lines,
            f"{runs}, {handed.lines(settings)[0]}; nothing was submitted",
            "by hand:",
            *handed.made.by_hand,
        ]
    ids = ", ".join(handed.ids)
    return [
        *lines,
        f"submitted {runs} of study {study} as Slurm job {ids}",
        *handed.lines(settings),
        f"sermm status {name}: how they are; sermm retry {name}: submits what is missing;",
        f"sermm report {name}: tables and figures; scancel {' '.join(handed.ids)}: stops them",
    ]
