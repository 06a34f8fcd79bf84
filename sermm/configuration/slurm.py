"""What Slurm is asked for, in its own words or in those of Hydra's launcher submitit."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from sermm.configuration.composed import Composed
from sermm.configuration.schema import Count, Items, Natural, Word
from sermm.core.errors import InputError
from sermm.core.slurm_time import clock, lead_of, seconds_of

_WORD: Final = re.compile(r"[^-\s'\"\\][^\s'\"\\]*")
_MEMORY: Final = re.compile(r"\d+[KMGT]?")
_GRES: Final = re.compile(r"\w[\w.-]*(:[\w.-]+)?(:\d+[KMGT]?)?")
_GPUS: Final = re.compile(r"([A-Za-z][\w.-]*:)?\d+")
_DEPENDENCY: Final = re.compile(r"singleton|after\w*(:\d+(_\d+)?(\+\d+)?)+")
_MAIL: Final = (
    "NONE",
    "BEGIN",
    "END",
    "FAIL",
    "REQUEUE",
    "ALL",
    "INVALID_DEPEND",
    "STAGE_OUT",
    "TIME_LIMIT",
    "TIME_LIMIT_90",
    "TIME_LIMIT_80",
    "TIME_LIMIT_50",
    "ARRAY_TASKS",
)
# Options that the script sets itself, and that records of a study rest on.
_OWN_OPTIONS: Final = ("--array", "-a", "--output", "-o", "--chdir", "-D", "--wrap", "--parsable")


def _checked(check: Callable[[str], str | None]) -> Any:
    """Text for which `check` names no fault; that of a number where none can be meant too."""

    def read(given: Any) -> Any:
        if isinstance(given, str) and (expected := check(given)) is not None:
            raise ValueError(expected)
        return given

    return BeforeValidator(read)


def _fits(pattern: re.Pattern[str], expected: str, parted_by: str | None = None) -> Any:
    def check(given: str) -> str | None:
        parts = [given] if parted_by is None else re.split(parted_by, given)
        return None if all(pattern.fullmatch(part) for part in parts) else expected

    return _checked(check)


def _raises(reading: Callable[[str], Any]) -> Callable[[str], str | None]:
    def check(given: str) -> str | None:
        try:
            reading(given)
        except ValueError as error:
            return str(error)
        return None

    return check


def _time(given: Any) -> Any:
    if isinstance(given, int) and not isinstance(given, bool):
        raise ValueError(
            "expected quotes around a time in YAML, which reads 8:00:00 as a number: '8:00:00', or "
            "'90' for minutes"
        )
    return given


def _mail(given: str) -> str | None:
    strange = [one for one in given.upper().split(",") if one not in _MAIL]
    return f"expected some of {', '.join(_MAIL)}, parted by commas" if strange else None


def _options(given: Any) -> Any:
    for one in given if isinstance(given, list | tuple) else ():
        name = str(one).split("=", 1)[0]
        if not name.startswith("-"):
            raise ValueError("expected options of sbatch, such as ['--comment=night', '-x']")
        if name in _OWN_OPTIONS:
            raise ValueError(f"expected none of {', '.join(_OWN_OPTIONS)}: the script has its own")
    return given


_Name = Annotated[Word, _fits(_WORD, "expected a word without spaces and quotes")]
_Time = Annotated[str, BeforeValidator(_time), _checked(_raises(seconds_of))]
_Memory = Annotated[
    Word, _fits(_MEMORY, "expected a number with K, M, G or T, such as 16G; without one it is MB")
]
_Dependency = Annotated[
    Word,
    _fits(_DEPENDENCY, "expected such as afterok:1234, afterany:12:13 or singleton", "[,?]"),
]
_Gpus = Annotated[Word, _fits(_GPUS, "expected a number, or a type with one, such as a100:1")]


class SubmitConfig(Composed):
    """Of `sermm submit`: what Slurm is asked for (`conf/submit`); None leaves it to the cluster.

    Attributes:
        account, partition, qos, constraint, reservation, nodelist, exclude: as sbatch takes them.
        dependency: of the whole array on other jobs.
        gpus: of one task, on all its nodes together; None: one for each device of a run.
        gpus_per_node: in its place, with a type perhaps: `a100:1`.
        gres: in its place, where a cluster wants its GPUs asked for so: `gpu:a100:1`.
        nodes: of one task.
        cpus: cores of each process.
        memory: of each node, such as 16G.
        time: the limit, in Slurm's notation.
        job_name: in the queue; None: sermm and the study.
        mail_user, mail_type: whom Slurm writes to, and of what.
        setup: lines of shell before the run.
        python: the interpreter; None: the one of this process.
        requeue: whether a task goes back into the queue after a preemption.
        signal: to the runs before the time limit, as sbatch's --signal takes it.
        at_most: tasks at a time.
        pack: runs side by side in one task.
        options: further ones of sbatch, such as --comment=night.
        report: whether a job after the array makes the report of the study.
        dry_run: whether nothing is submitted.
    """

    primary = "submit"

    account: _Name | None
    partition: _Name | None
    qos: _Name | None = None
    constraint: _Name | None = None
    reservation: _Name | None = None
    nodelist: _Name | None = None
    exclude: _Name | None = None
    dependency: _Dependency | None = None
    gpus: Natural | None
    gpus_per_node: _Gpus | None = None
    gres: Annotated[Word, _fits(_GRES, "expected such as gpu:a100:1", ",")] | None = None
    nodes: Count
    cpus: Count
    memory: _Memory | None
    time: _Time | None
    job_name: _Name | None = None
    mail_user: _Name | None = None
    mail_type: Annotated[Word, _checked(_mail)] | None = None
    setup: Items[str]
    python: Word | None
    requeue: bool
    signal: Annotated[Word, _checked(_raises(lead_of))] | None
    at_most: Count | None
    pack: Count
    options: Annotated[Items[str], BeforeValidator(_options)]
    report: bool = False
    dry_run: bool = False

    @classmethod
    def read(cls, found: Any, where: str = "") -> "SubmitConfig":
        """Takes the fields.

        Raises:
            InputError: one is wrong, or two do not go together.
        """
        asked = super().read(found, where)
        asked._refuse_two_ways()
        asked._refuse_short()
        return asked

    def _refuse_two_ways(self) -> None:
        if len(self.gpus_asked) > 1:
            given = " and ".join(self.gpus_asked)
            raise InputError(f"{given} ask for GPUs in two ways; leave one out")

    def _refuse_short(self) -> None:
        """A limit within which the warning comes before a run has begun.

        Python has no handler for the signal before it has started: such a task would be requeued
        again and again.
        """
        limit_s = None if self.time is None else seconds_of(self.time)
        lead_s = 0 if self.signal is None else lead_of(self.signal)
        if limit_s is not None and limit_s <= lead_s:
            raise InputError(
                f"time={self.time} is no longer than the {lead_s} s that signal={self.signal} "
                "comes before its end, so that no run would get to an epoch; give more time=, or "
                "signal=USR1@ with fewer seconds, or signal=null"
            )

    @property
    def gpus_asked(self) -> list[str]:
        """The settings that ask for GPUs, as words; none where that is left to the runs."""
        ways = {
            "gpus": self.gpus,
            "gpus_per_node": self.gpus_per_node,
            "gres": None if self.gpus_of_gres is None else self.gres,
        }
        return [f"{name}={value}" for name, value in ways.items() if value is not None]

    @property
    def gpus_of_gres(self) -> int | None:
        """GPUs of each node that `gres` asks for; None where it is of something else."""
        for one in (self.gres or "").split(","):
            name, *rest = one.split(":")
            if name == "gpu":
                return int(rest[-1]) if rest and rest[-1].isdigit() else 1
        return None

    def gpus_of_task(self, devices: int) -> int:
        """GPUs of one task on all its nodes.

        Args:
            devices: of a run.
        """
        if self.gpus_per_node is not None:
            return int(self.gpus_per_node.rpartition(":")[2]) * self.nodes
        if self.gpus_of_gres is not None:
            return self.gpus_of_gres * self.nodes
        return devices if self.gpus is None else self.gpus


_TEXT: Final = (
    "account",
    "partition",
    "qos",
    "constraint",
    "reservation",
    "nodelist",
    "exclude",
    "dependency",
    "gpus_per_node",
    "gres",
    "memory",
    "time",
    "job_name",
    "mail_user",
    "mail_type",
    "python",
    "signal",
)
# Slurm's names, then those of Hydra's launcher submitit where they are others.
_SAME: Final = {
    "mem": "memory",
    "cpus_per_task": "cpus",
    "array_parallelism": "at_most",
    "name": "job_name",
    "mem_gb": "memory",
    "timeout_min": "time",
    "signal_delay_s": "signal",
}
_AS_OURS: Final[dict[str, Callable[[str], str]]] = {
    "mem_gb": lambda value: f"{value}G",
    "timeout_min": lambda value: clock(round(float(value) * 60)),
    "signal_delay_s": lambda value: f"USR1@{value}",
}
# What has no place here, and why.
_REFUSED: Final = {
    **dict.fromkeys(
        ("tasks_per_node", "ntasks_per_node", "ntasks"),
        "a run has one process for each device: trainer.devices= and nodes= say how many",
    ),
    **dict.fromkeys(
        ("gpus_per_task", "cpus_per_gpu", "mem_per_cpu", "mem_per_gpu", "comment", "begin",
         "licenses", "exclusive", "nice", "priority", "hint", "wckey"),
        "an option of sbatch, which goes into options=['--{option}={value}']",
    ),
    "additional_parameters": "the options of sbatch are a list here: options=['--comment=night']",
    "srun_args": "the script starts srun itself; write it with dry_run=true and change it",
    "submitit_folder": "logs and scripts lie in the study, under .sweeps",
    "stderr_to_stdout": "both are in one log anyway",
    "max_num_timeout": "a task is requeued for as long as its runs get on, requeue=false: never",
    "array": "the sweep says how many tasks there are; at_most= how many run at a time",
    "output": "logs lie in the study, under .sweeps/logs",
}  # fmt: skip


def in_our_words(words: Sequence[str], prefix: str = "") -> list[str]:
    """Words with those of Slurm and of submitit as the settings that they mean.

    Values of text are put in quotes, as Hydra would take `n[1-3]` for a list, `END,FAIL` for a
    sweep and 60 for a number.

    Args:
        words: as typed; others than these stay as they are.
        prefix: of the settings, such as `hydra.launcher.`.

    Raises:
        InputError: a word has no place here, cannot be read, or is given in two ways.
    """
    made, given = [], dict[str, str]()
    for word in words:
        key, equals, value = word.partition("=")
        name = key.lstrip("+").removeprefix(prefix).replace("-", "_")
        ours = _SAME.get(name, name)
        if not key.lstrip("+").startswith(prefix) or not equals or not _known(ours, name):
            made.append(word)
            continue
        if (why := _REFUSED.get(name)) is not None:
            why = why.format(option=name.replace("_", "-"), value=value)
            raise InputError(f"{word}: {why}")
        if ours in given:
            raise InputError(f"{given[ours]} and {word} say the same; leave one out")
        given[ours] = word
        made.append(f"{prefix}{ours}={_value(word, name, ours, value)}")
    return made


def _known(ours: str, name: str) -> bool:
    return ours in SubmitConfig.model_fields or name in _REFUSED


def _value(word: str, name: str, ours: str, value: str) -> str:
    try:
        value = _AS_OURS.get(name, str)(value)
    except ValueError as error:
        raise InputError(f"{word}: expected a number") from error
    if ours not in _TEXT or value == "null" or value[:1] in {'"', "'"}:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
