"""sermm retry STUDY [runs_dir=...]: submit to Slurm what is missing of a study.

Missing is what was planned and is neither finished, nor running, nor waiting in the queue: runs
that failed, were cancelled, or died with their node. They are submitted with the settings of the
last `sermm submit`; settings that are given, such as memory=64G, replace those. Each goes on after
its last whole epoch. What Slurm does not run needs no retry: the sweep's own command goes on.

  sermm retry first
  sermm retry first time=12:00:00 memory=64G
"""

from collections.abc import Sequence
from dataclasses import replace

from sermm.core.errors import InputError

USAGE = "sermm retry STUDY [time=... memory=... ...] [dry_run=true] [runs_dir=...]"


def run(arguments: Sequence[str]) -> int:
    """Submits; returns the exit status."""
    from sermm.cli.submit import said
    from sermm.configuration.arguments import parse, runs_folder
    from sermm.configuration.slurm import SubmitConfig, in_our_words
    from sermm.runs.plans import read_plans
    from sermm.runs.studies import find_study
    from sermm.sweeps.slurm.handing import hand_over, last_settings

    known = dict.fromkeys([*SubmitConfig.model_fields, "runs_dir"], None)
    words, own = parse(in_our_words(arguments), known, USAGE)
    if len(words) != 1:
        raise InputError(f"expected one study, got {words}. Usage: {USAGE}")
    study_dir = find_study(words[0], runs_folder(own.pop("runs_dir"))).absolute()
    given = [f"{key}={value}" for key, value in own.items() if value is not None]
    new, last = SubmitConfig.of(given), last_settings(study_dir)
    changed = {key: getattr(new, key) for key, value in own.items() if value is not None}
    settings = replace(last, asked=last.asked.changed(changed))
    plans = read_plans(study_dir)
    for why in plans.damaged.values():
        raise InputError(why)
    handed = hand_over(study_dir, plans.jobs, settings)
    print(*said(handed, settings, len(plans.jobs), study_dir.name), sep="\n")
    return 0
