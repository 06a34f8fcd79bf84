"""What `sermm submit`, `sermm retry` and the launcher share: handing over what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sermm.core.errors import InputError
from sermm.runs.lock import locked
from sermm.runs.plans import FOLDER, PlannedJob, write_plan
from sermm.sweeps.slurm.arrays import Array, submitted, written
from sermm.sweeps.slurm.settings import SlurmSettings
from sermm.sweeps.slurm.states import Left, left_of
from sermm.sweeps.slurm.submit import Written, cost, submit, write


@dataclass(frozen=True)
class Handed:
    """What became of the jobs that were to be handed to Slurm.

    Attributes:
        left: which were missing, and how many were not.
        ids: of Slurm's jobs, one for each array; empty if nothing was submitted.
        made: the scripts; None where nothing was missing.
    """

    left: Left
    ids: tuple[str, ...]
    made: Written | None

    def lines(self, settings: SlurmSettings) -> list[str]:
        """What is said of it: the ids, what it costs at most, and where the script is."""
        if self.made is None:
            return []
        n = len(self.left.missing)
        scripts = ", ".join(str(path) for path in self.made.paths)
        lines = [f"{cost(n, settings)}; script: {scripts}"]
        if self.ids and self.made.report is not None:
            lines.append(f"job {self.ids[-1]} makes the report when they have ended")
        return lines


def hand_over(study_dir: Path, jobs: Sequence[PlannedJob], settings: SlurmSettings) -> Handed:
    """Submits those of the jobs that are neither finished, nor running, nor in the queue.

    They are planned before, so that nothing is in the queue of which `sermm status` knows nothing.

    Args:
        study_dir: absolute.
        jobs: that are wanted.
        settings: of their array; with `dry_run` the script of those that are missing is only
            written.

    Raises:
        InputError: Slurm cannot be asked, does not take them, or another command is submitting.
    """
    (study_dir / FOLDER).mkdir(parents=True, exist_ok=True)
    with locked(study_dir / FOLDER) as mine:
        if not mine:
            raise InputError(f"another command is submitting runs of {study_dir}; wait for it")
        write_plan(study_dir, jobs)
        left = left_of(study_dir, jobs)
        if not left.missing:
            return Handed(left, (), None)
        made = write(study_dir, left.missing, settings)
        if settings.asked.dry_run:
            return Handed(left, (), made)
        return Handed(left, tuple(submit(study_dir, made, left.arrays)), made)


def last_settings(study_dir: Path) -> SlurmSettings:
    """Those of the last submission, or of the last script that could have been submitted.

    Raises:
        InputError: there was none.
    """
    records = list(submitted(study_dir).values()) or written(study_dir)
    if not records:
        raise InputError(
            f"nothing of {study_dir} was submitted by sermm submit; give that command, or the "
            "sweep's own again, which goes on where it stopped"
        )
    return SlurmSettings.of(Array.read(records[-1]).settings)
