"""How the runs of a study are handed to Slurm, and kept for `sermm retry`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sermm.configuration.groups import TrainerConfig
from sermm.configuration.verbs import SubmitConfig


@dataclass(frozen=True)
class SlurmSettings:
    """What an array of runs is submitted with.

    Attributes:
        devices: of one run, on all its nodes together.
        asked: of Slurm, for each task.
    """

    devices: int
    asked: SubmitConfig

    @classmethod
    def for_runs(cls, asked: SubmitConfig, trainer: TrainerConfig) -> "SlurmSettings":
        """For runs of this trainer, which need no GPU where they use none."""
        no_gpus = asked.gpus is None and trainer.accelerator == "cpu"
        return cls(trainer.devices, asked.changed({"gpus": 0}) if no_gpus else asked)

    def as_json(self) -> dict[str, Any]:
        """For a JSON file."""
        return {"devices": self.devices, "asked": dict(self.asked.plain)}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "SlurmSettings":
        """What `as_json` gave.

        Args:
            kept: of a record in the study's folder.

        Raises:
            InputError: a value is of another type than expected.
        """
        return cls(int(kept["devices"]), SubmitConfig.read(kept["asked"], "submit"))
