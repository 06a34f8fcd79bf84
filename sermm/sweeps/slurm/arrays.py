"""What of a study was handed to Slurm: a record for each script, and for each array of Slurm's.

`sermm submit` writes `array-<digest>.json` beside each script. Once Slurm has given the array an id
there is `<id>.json` too: written by `sermm submit`, or by the script when its first task begins, if
somebody has submitted it by hand.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sermm.core.damage import in_words
from sermm.core.errors import InputError
from sermm.core.files import read_json, write_json
from sermm.runs.fields import record
from sermm.runs.plans import FOLDER

# Beside the scripts: an empty file for each task that has ended, `<array>_<index>.<exit status>`.
ENDS = "ends"


@dataclass(frozen=True)
class Array:
    """Which jobs an array has.

    Attributes:
        script: that was submitted, or can be.
        settings: as `SlurmSettings.as_json`.
        pack: jobs of each task.
        jobs: their ids (`sermm.runs.plans.job_id`), in the order of the table.
    """

    script: str
    settings: dict[str, Any]
    pack: int
    jobs: tuple[str, ...]

    def of_task(self, index: int) -> tuple[str, ...]:
        """The jobs of the task with this index, from 1."""
        start = (index - 1) * self.pack
        return self.jobs[start : start + self.pack]

    def write(self, path: Path) -> None:
        """Writes it, whole or not at all."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Array":
        """Reads what `write` wrote.

        Raises:
            InputError: the file is damaged.
        """
        try:
            found = record(cls, read_json(path), path.name)
            if found.pack < 1:
                raise ValueError(f"pack is {found.pack}")
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(
                f"{path} is damaged: {in_words(error)}; what is in Slurm's queue cannot be told "
                "without it: remove it once `squeue` shows nothing of that array"
            ) from error
        return found


def folder_of(study_dir: Path) -> Path:
    """Where scripts, tables and records lie."""
    return study_dir / FOLDER / "slurm"


def submitted(study_dir: Path) -> dict[str, Path]:
    """The record of each array that Slurm has had, by its id; oldest first."""
    return {path.stem: path for path in _oldest_first(study_dir) if path.stem.isdigit()}


def written(study_dir: Path) -> list[Path]:
    """The record of each script that can be submitted; oldest first."""
    return [path for path in _oldest_first(study_dir) if path.stem.startswith("array-")]


def _oldest_first(study_dir: Path) -> list[Path]:
    paths = folder_of(study_dir).glob("*.json")
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))
