"""How runs are handed to Slurm: what `conf/submit` holds."""

from dataclasses import dataclass
from typing import Any

from sermm.core.errors import InputError


@dataclass(frozen=True)
class Resources:
    """What an array task gets; None leaves it to the cluster.

    Attributes:
        account: that pays.
        partition: of the cluster.
        gpus: of one task, on all its nodes together; None: one for each device of a run.
        nodes: of one task.
        cpus: cores of each process.
        memory: of each node, such as 16G.
        time: the limit, in Slurm's notation.
        options: further ones of sbatch, such as --qos=low.
    """

    account: str | None
    partition: str | None
    gpus: int | None
    nodes: int
    cpus: int
    memory: str | None
    time: str | None
    options: tuple[str, ...]


@dataclass(frozen=True)
class Conduct:
    """How the tasks of an array run.

    Attributes:
        setup: lines of shell before the run.
        python: the interpreter; None: the one of this process.
        requeue: whether a task goes back into the queue after a preemption.
        signal: to the runs before the time limit, as sbatch's --signal takes it.
        at_most: tasks at a time.
        pack: runs side by side in one task.
    """

    setup: tuple[str, ...]
    python: str | None
    requeue: bool
    signal: str | None
    at_most: int | None
    pack: int


@dataclass(frozen=True)
class SubmitSettings:
    """How the runs of a study are submitted; kept for `sermm retry`.

    Attributes:
        devices: of one run, on all its nodes together.
        resources: of an array task.
        conduct: of it.
    """

    devices: int
    resources: Resources
    conduct: Conduct

    def as_plain(self) -> dict[str, Any]:
        """For a JSON file."""
        parts = {"resources": vars(self.resources), "conduct": vars(self.conduct)}
        return {"devices": self.devices, **parts}

    @classmethod
    def for_runs(cls, plain: dict[str, Any], trainer: dict[str, Any]) -> "SubmitSettings":
        """From the configuration of `sermm submit` and that of the runs' trainer.

        Raises:
            InputError: a value is of another type than expected.
        """
        no_gpus = plain["gpus"] is None and trainer["accelerator"] == "cpu"
        return cls.of({**plain, "gpus": 0} if no_gpus else plain, trainer["devices"])

    @classmethod
    def of(cls, plain: dict[str, Any], devices: int) -> "SubmitSettings":
        """From the configuration of `sermm submit`, or from what `as_plain` gave.

        Raises:
            InputError: a value is of another type than expected.
        """
        resources, conduct = plain.get("resources", plain), plain.get("conduct", plain)
        return cls(
            devices,
            Resources(
                account=_text(resources, "account"),
                partition=_text(resources, "partition"),
                gpus=_number(resources, "gpus"),
                nodes=_count(resources, "nodes"),
                cpus=_count(resources, "cpus"),
                memory=_text(resources, "memory"),
                time=_text(resources, "time"),
                options=_lines(resources, "options"),
            ),
            Conduct(
                setup=_lines(conduct, "setup"),
                python=_text(conduct, "python"),
                requeue=bool(conduct["requeue"]),
                signal=_text(conduct, "signal"),
                at_most=_number(conduct, "at_most"),
                pack=_count(conduct, "pack"),
            ),
        )


def _text(plain: dict[str, Any], key: str) -> str | None:
    value = plain[key]
    return None if value is None else str(value)


def _number(plain: dict[str, Any], key: str) -> int | None:
    value = plain[key]
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InputError(f"{key}={value!r}: expected a whole number")


def _count(plain: dict[str, Any], key: str) -> int:
    value = _number(plain, key)
    if value is None or value < 1:
        raise InputError(f"{key}={value}: expected a number from 1")
    return value


def _lines(plain: dict[str, Any], key: str) -> tuple[str, ...]:
    value = plain[key]
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise InputError(f"{key}={value!r}: expected a list, such as '{key}=[a, b]'")
    return tuple(str(line) for line in value)
