"""The scripts that `sermm submit` hands to sbatch: a job array of single runs, and its report.

They are written to be read, and to be submitted by hand. An index of the array is a line of the
table, or `pack` lines that run side by side. srun starts the runs, so that Slurm's signals reach
them, and the script itself outlives them to say what they could not (`sermm.sweeps.slurm.end`), and
with what it ended itself.
"""

import re
import shlex
import shutil
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


def script(study_dir: Path, base: Path, n_tasks: int, settings: SlurmSettings) -> str:
    """The text of the script of an array.

    Args:
        study_dir: of the runs, absolute.
        base: of its files, absolute and without a suffix: beside the script lie its table
            (`.jobs`) and its record (`.json`).
        n_tasks: in the array, indices from 1; each has `pack` lines of the table.
        settings: of the array.

    Returns:
        Bash with `#SBATCH` lines.

    Raises:
        InputError: pack, nodes and devices do not go together.
    """
    check(settings)
    asked = settings.asked
    at_most = f"%{asked.at_most}" if asked.at_most else ""
    options = [f"--array=1-{n_tasks}{at_most}", *options_of_array(study_dir, settings)]
    values = {
        "study": str(study_dir),
        "table": f"{base}.jobs",
        "record": f"{base}.json",
        "pack": str(asked.pack),
    }
    text = _SCRIPT.replace("%LINE%", _PACKED if asked.pack > 1 else _SINGLE)
    text = text.replace("%KILL%", str(int(asked.pack == 1)))
    return _filled(text, options, values, settings)


def report_script(study_dir: Path, settings: SlurmSettings) -> str:
    """The text of the script of a job that makes the report of a study.

    Args:
        study_dir: of the runs, absolute.
        settings: of their array.

    Returns:
        Bash with `#SBATCH` lines; what it waits for is said to sbatch.
    """
    log = study_dir / FOLDER / "logs" / "slurm-report-%j.log"
    options = [
        f"--job-name={_job_name(study_dir, settings)}-report",
        f"--output={quoted(log)}",
        f"--chdir={quoted(Path(settings.cwd))}",
        "--ntasks=1",
        f"--cpus-per-task={settings.asked.cpus}",
        *_common(settings),
    ]
    return _filled(_REPORT, options, {"study": str(study_dir)}, settings)


def _filled(
    text: str, options: Sequence[str], values: dict[str, str], settings: SlurmSettings
) -> str:
    asked = settings.asked
    values = {"python": asked.python or sys.executable, **values}
    text = text.replace("%OPTIONS%", "\n".join(f"#SBATCH {option}" for option in options))
    text = text.replace("%VALUES%", "\n".join(f"{k}={shlex.quote(v)}" for k, v in values.items()))
    text = text.replace("%EXPORTS%", "\n".join(exports(settings)))
    setup = ["", "set -e", *asked.setup, "set +e"] if asked.setup else []
    return text.replace("%SETUP%", "\n".join(setup))


def exports(settings: SlurmSettings) -> list[str]:
    """Lines that set what is needed of the environment, wherever Slurm hands on nothing of it.

    Slurm's own programs may lie in no usual place, and with `--export=NONE` there is no path to
    them.
    """
    own = settings.environment.items()
    programs = shutil.which("srun")
    places = [
        "/usr/local/bin",
        "/usr/bin",
        "/bin",
        *([str(Path(programs).parent)] if programs else []),
    ]
    path = ":".join(dict.fromkeys(places))
    return [
        *(f"export {name}={shlex.quote(value)}" for name, value in own),
        f'export PATH="${{PATH:+$PATH:}}"{shlex.quote(path)}',
    ]


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


def options_of_array(study_dir: Path, settings: SlurmSettings) -> list[str]:
    """The options of sbatch but the array itself, one for each `#SBATCH` line.

    A run of several devices has one process for each, which srun starts on all nodes. What is None
    is left to the cluster; the user's own options come last, after those that they may replace.
    """
    devices, asked = settings.devices, settings.asked
    logs = Path(str(study_dir / FOLDER / "logs").replace("%", "%%"))
    return [
        f"--job-name={_job_name(study_dir, settings)}",
        f"--output={quoted(logs / 'slurm-%A_%a.log')}",
        "--open-mode=append",
        f"--chdir={quoted(Path(settings.cwd))}",
        f"--nodes={asked.nodes}",
        f"--ntasks-per-node={asked.pack if asked.pack > 1 else devices // asked.nodes}",
        f"--cpus-per-task={asked.cpus}",
        *_gpus(settings),
        *([f"--dependency={asked.dependency}"] if asked.dependency else []),
        *_common(settings),
        *([f"--signal={asked.signal}"] if asked.signal else []),
        "--requeue" if asked.requeue else "--no-requeue",
        *asked.options,
    ]


def _common(settings: SlurmSettings) -> list[str]:
    """What an array and its report ask for alike."""
    asked = settings.asked
    given = {
        "account": asked.account,
        "partition": asked.partition,
        "qos": asked.qos,
        "constraint": asked.constraint,
        "reservation": asked.reservation,
        "nodelist": asked.nodelist,
        "exclude": asked.exclude,
        "time": asked.time,
        "mem": asked.memory,
        "mail-user": asked.mail_user,
        "mail-type": asked.mail_type,
    }
    return [f"--{key}={value}" for key, value in given.items() if value is not None]


def _gpus(settings: SlurmSettings) -> list[str]:
    asked = settings.asked
    gres = [f"--gres={asked.gres}"] if asked.gres else []
    if asked.gpus_per_node is not None:
        return [*gres, f"--gpus-per-node={asked.gpus_per_node}"]
    if asked.gpus_of_gres is not None:
        return gres
    gpus = asked.gpus_of_task(settings.devices) // asked.nodes
    return [*gres, *([f"--gpus-per-node={gpus}"] if gpus else [])]


def _job_name(study_dir: Path, settings: SlurmSettings) -> str:
    return settings.asked.job_name or "sermm-" + re.sub(r"[^\w.-]", "_", study_dir.name)


def quoted(path: Path) -> str:
    """A path as an `#SBATCH` line takes it: no shell reads these lines, only sbatch.

    Raises:
        InputError: it holds what such a line cannot.
    """
    text = str(path)
    if "\\" in text or "\n" in text:
        raise InputError(f"{text!r} holds a backslash or a line break, which sbatch cannot take")
    return '"' + text.replace('"', '\\"') + '"'


_SINGLE = "line=$SLURM_ARRAY_TASK_ID"
_PACKED = """line=$(((SLURM_ARRAY_TASK_ID - 1) * pack + SLURM_PROCID + 1))
# Each process is a run of its own.
export SLURM_NTASKS=1 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0"""
_SCRIPT = r"""#!/bin/bash
# Written by `sermm submit`: a job array of single runs, one for each line of the table.
# By hand: sbatch and the name of this file.
%OPTIONS%

%VALUES%

%EXPORTS%
# For `sermm status`: what this array is, and with what this task ended.
ends="$study/.sweeps/slurm/ends"
end="$ends/${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
mkdir -p "$ends"
array="$study/.sweeps/slurm/$SLURM_ARRAY_JOB_ID.json"
[ -e "$array" ] || ln "$record" "$array" 2>/dev/null
rm -f "$end".*
trap 'status=$?; : >"$end.$status"; exit "$status"' EXIT
%SETUP%

export python study table pack SERMM_TRACEBACK=1
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
# With all variables, wherever sbatch was told to hand on none (--export=NONE).
srun --export=ALL --wait=0 --kill-on-bad-exit=%KILL% bash -c "$run"
status=$?
if [ "$status" != 0 ]; then
    # What a run that was killed could not write itself.
    first=$(((SLURM_ARRAY_TASK_ID - 1) * pack + 1))
    ids=$(sed -n "${first},$((first + pack - 1))p" "$table" | cut -d " " -f 1)
    "$python" -m sermm.sweeps.slurm.end "$study" "$status" $ids
fi
exit "$status"
"""
_REPORT = r"""#!/bin/bash
# Written by `sermm submit report=true`: makes the report of a study.
# By hand: sbatch --dependency=afterany:<job> and the name of this file.
%OPTIONS%

%VALUES%

%EXPORTS%
%SETUP%

exec "$python" -m sermm.cli.main report "$study"
"""
