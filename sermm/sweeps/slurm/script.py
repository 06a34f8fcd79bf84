"""The script that `sermm submit` hands to sbatch: a job array of single runs.

It is written to be read, and to be submitted by hand. An index of the array is a line of the table,
or `pack` lines that run side by side. srun starts the runs, so that Slurm's signals reach them, and
the script itself outlives them to say what they could not (`sermm.sweeps.slurm.end`).
"""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from sermm.core.errors import InputError
from sermm.runs.plans import FOLDER, PlannedJob
from sermm.sweeps.slurm.settings import SlurmSettings


def table(jobs: Sequence[PlannedJob]) -> str:
    """A line for each job: its id, then its words as a shell reads them.

    Raises:
        InputError: a word holds a line break.
    """
    for job in jobs:
        if broken := [word for word in job.words if "\n" in word]:
            raise InputError(f"{broken[0]!r} holds a line break, which sermm submit cannot pass on")
    return "".join(f"{job.id} {shlex.join(job.words)}\n" for job in jobs)


def script(study_dir: Path, table_path: Path, settings: SlurmSettings) -> str:
    """The text of the script; its array runs over the lines of the table, from 1.

    Args:
        study_dir: of the runs, absolute.
        table_path: what `table` made, absolute.
        settings: of the array.

    Returns:
        Bash with `#SBATCH` lines. Its first argument is how many lines of the table belong to
        arrays before this one, none if left out.

    Raises:
        InputError: pack, nodes and devices do not go together.
    """
    check(settings)
    asked = settings.asked
    lines = [f"#SBATCH {option}" for option in options(study_dir, settings)]
    values = {
        "python": asked.python or sys.executable,
        "study": str(study_dir),
        "table": str(table_path),
        "pack": str(asked.pack),
    }
    text = _SCRIPT.replace("%OPTIONS%", "\n".join(lines))
    text = text.replace("%VALUES%", "\n".join(f"{k}={shlex.quote(v)}" for k, v in values.items()))
    setup = ["", "set -e", *asked.setup, "set +e"] if asked.setup else []
    text = text.replace("%SETUP%", "\n".join(setup))
    text = text.replace("%LINE%", _PACKED if asked.pack > 1 else _SINGLE)
    return text.replace("%KILL%", str(int(asked.pack == 1)))


def check(settings: SlurmSettings) -> None:
    """Refuses numbers that do not go together.

    Raises:
        InputError: they do not.
    """
    devices, asked = settings.devices, settings.asked
    if asked.pack > 1 and (devices > 1 or asked.nodes > 1):
        raise InputError(
            f"pack={asked.pack} is for runs on one device, and trainer.devices={devices}, "
            f"nodes={asked.nodes}; leave pack out"
        )
    if devices % asked.nodes:
        raise InputError(
            f"trainer.devices={devices} (on all nodes together) cannot be shared by "
            f"nodes={asked.nodes}; give a multiple"
        )


def options(study_dir: Path, settings: SlurmSettings) -> list[str]:
    """The options of sbatch, one for each `#SBATCH` line.

    A run of several devices has one process for each, which srun starts on all nodes. What is None
    is left to the cluster; the user's own options come last, after those that they may replace.
    """
    devices, asked = settings.devices, settings.asked
    gpus = (devices if asked.gpus is None else asked.gpus) // asked.nodes
    given = {
        "account": asked.account,
        "partition": asked.partition,
        "time": asked.time,
        "mem": asked.memory,
        "gpus-per-node": gpus or None,
        "signal": asked.signal,
    }
    logs = Path(str(study_dir / FOLDER / "logs").replace("%", "%%"))
    name = re.sub(r"[^\w.-]", "_", study_dir.name)
    return [
        f"--job-name=sermm-{name}",
        f"--output={quoted(logs / 'slurm-%A_%a.log')}",
        "--open-mode=append",
        f"--chdir={quoted(Path.cwd())}",
        f"--nodes={asked.nodes}",
        f"--ntasks-per-node={asked.pack if asked.pack > 1 else devices // asked.nodes}",
        f"--cpus-per-task={asked.cpus}",
        *(f"--{key}={value}" for key, value in given.items() if value is not None),
        "--requeue" if asked.requeue else "--no-requeue",
        *asked.options,
    ]


def quoted(path: Path) -> str:
    """A path as an `#SBATCH` line takes it: no shell reads these lines, only sbatch.

    Raises:
        InputError: it holds what such a line cannot.
    """
    text = str(path)
    if "\\" in text or "\n" in text:
        raise InputError(f"{text!r} holds a backslash or a line break, which sbatch cannot take")
    return '"' + text.replace('"', '\\"') + '"'


_SINGLE = "line=$((before + SLURM_ARRAY_TASK_ID))"
_PACKED = """line=$((before + (SLURM_ARRAY_TASK_ID - 1) * pack + SLURM_PROCID + 1))
# Each process is a run of its own.
export SLURM_NTASKS=1 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0"""
_SCRIPT = r"""#!/bin/bash
# Written by `sermm submit`: a job array of single runs, one for each line of the table.
%OPTIONS%

%VALUES%
# How many lines of the table belong to arrays before this one.
before=${1:-0}
%SETUP%

export python study table pack before SERMM_TRACEBACK=1
export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK" OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"
run='
%LINE%
words=$(sed -n "${line}p" "$table")
[ -n "$words" ] || exit 0
eval "set -- $words"
log="$study/.sweeps/logs/$1.log"
shift
exec "$python" -m sermm.cli.main train "$@" hydra.mode=RUN >>"$log" 2>&1
'
# The runs get the signals too, and say why they stopped; this script outlives them.
trap : TERM
srun --wait=0 --kill-on-bad-exit=%KILL% bash -c "$run"
status=$?
if [ "$status" != 0 ]; then
    # What a run that was killed could not write itself.
    first=$((before + (SLURM_ARRAY_TASK_ID - 1) * pack + 1))
    ids=$(sed -n "${first},$((first + pack - 1))p" "$table" | cut -d " " -f 1)
    "$python" -m sermm.sweeps.slurm.end "$study" "$status" $ids
fi
exit "$status"
"""
