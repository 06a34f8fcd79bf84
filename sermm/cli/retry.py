"""sermm retry STUDY [runs_dir=...]: submit to Slurm what is missing of a study.

Missing is what was planned and is neither finished, nor running, nor waiting in the queue: runs
that failed, were cancelled, or died with their node. They are submitted with the settings of the
last `sermm submit`; settings that are given, such as memory=64G, replace those. Each goes on after
its last whole epoch. What Slurm does not run needs no retry: the sweep's own command goes on.

  sermm retry first
  sermm retry first time=12:00:00 memory=64G
"""

from collections.abc import Sequence

from sermm.core.errors import InputError

USAGE = "sermm retry STUDY [time=... memory=... ...] [dry_run=true] [runs_dir=...]"


def run(arguments: Sequence[str]) -> int:
    """Submits; returns the exit status."""
    from sermm.configuration.arguments import parse, runs_folder
    from sermm.configuration.verbs import SubmitConfig
    from sermm.runs.studies import find_study
    from sermm.sweeps.slurm.queue import last_settings, missing
    from sermm.sweeps.slurm.settings import SlurmSettings
    from sermm.sweeps.slurm.submit import submit, write

    known = dict.fromkeys([*SubmitConfig.model_fields, "runs_dir"], None)
    words, own = parse(arguments, known, USAGE)
    if len(words) != 1:
        raise InputError(f"expected one study, got {words}. Usage: {USAGE}")
    study_dir = find_study(words[0], runs_folder(own.pop("runs_dir"))).absolute()
    given = [f"{key}={value}" for key, value in own.items() if value is not None]
    new, last = SubmitConfig.of(given), last_settings(study_dir)
    changed = {key: getattr(new, key) for key, value in own.items() if value is not None}
    settings = SlurmSettings(last.devices, last.asked.changed(changed))
    jobs, busy = missing(study_dir)
    if not jobs:
        print(f"nothing is missing of {study_dir.name}; {busy} runs are running or waiting")
        return 0
    written = write(study_dir, jobs, settings)
    if new.dry_run:
        print(written.path.read_text(encoding="utf-8"))
        print(f"{len(jobs)} runs in {written.path}; nothing was submitted")
        return 0
    ids = submit(study_dir, written)
    print(
        f"submitted {len(jobs)} missing runs of study {study_dir.name} as Slurm job "
        f"{', '.join(ids)}; {busy} others are running or waiting"
    )
    return 0
