"""How the runs of a study are handed to Slurm, and kept for `sermm retry`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sermm.configuration.groups import TrainerConfig
from sermm.configuration.slurm import SubmitConfig
from sermm.core.errors import InputError
from sermm.core.failures import TRACEBACK

# As conf/ has them.
_PLACES: Final = {"SERMM_RUNS": "runs", "SERMM_CACHE": "~/.cache/sermm"}


@dataclass(frozen=True)
class SlurmSettings:
    """What an array of runs is submitted with.

    Attributes:
        devices: of one run, on all its nodes together.
        asked: of Slurm, for each task.
        cwd: the folder that the words of the runs were typed in.
        environment: what was set for sermm then, with the places of runs and features among it.
    """

    devices: int
    asked: SubmitConfig
    cwd: str = field(default_factory=lambda: str(Path.cwd()))
    environment: dict[str, str] = field(default_factory=lambda: _environment())

    @classmethod
    def for_runs(cls, asked: SubmitConfig, trainer: TrainerConfig) -> "SlurmSettings":
        """For runs of this trainer, which need no GPU where they use none."""
        no_gpus = trainer.accelerator == "cpu" and not asked.gpus_asked
        return cls(trainer.devices, asked.changed({"gpus": 0}) if no_gpus else asked)

    @classmethod
    def for_all(cls, asked: SubmitConfig, trainers: Sequence[TrainerConfig]) -> "SlurmSettings":
        """For runs of these trainers, which are tasks of one array.

        Raises:
            InputError: they need different devices.
        """
        found = [cls.for_runs(asked, trainer) for trainer in trainers]
        for one, trainer in zip(found, trainers, strict=True):
            if one != found[0]:
                raise InputError(
                    "the tasks of an array are alike, and these runs are not: trainer.devices="
                    f"{found[0].devices} and {one.devices}, trainer.accelerator="
                    f"{trainers[0].accelerator} and {trainer.accelerator}; submit them one by one"
                )
        return found[0]

    def as_json(self) -> dict[str, Any]:
        """For a JSON file."""
        return {**vars(self), "asked": dict(self.asked.plain)}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "SlurmSettings":
        """What `as_json` gave.

        Args:
            kept: of a record in the study's folder.

        Raises:
            InputError: a value is of another type than expected.
        """
        places = {key: kept[key] for key in ("cwd", "environment") if key in kept}
        return cls(int(kept["devices"]), SubmitConfig.read(kept["asked"], "submit"), **places)


def _environment() -> dict[str, str]:
    """The variables that decide what words mean, with absolute paths for runs and features.

    They are written into the script: where Slurm hands on nothing of the environment, or the runs
    are submitted again from another shell, they would else land elsewhere.
    """
    found = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("SERMM_") and value and name != TRACEBACK
    }
    for name, default in _PLACES.items():
        found[name] = str(Path(found.get(name, default)).expanduser().absolute())
    return dict(sorted(found.items()))
