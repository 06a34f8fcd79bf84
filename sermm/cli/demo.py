"""sermm demo [key=value ...]: a sweep of models x folds on a synthetic corpus, and its report.

The corpus is synthesised on first use under cache_dir, in IEMOCAP's exact layout. It proves that
everything works together; its scores say nothing about emotion in real speech.

  sermm demo
  sermm demo fold=1 trainer.max_epochs=3 study=quick

Keys: as for `sermm train experiment=demo`.
"""

from collections.abc import Sequence

from sermm.cli import report, train
from sermm.configuration.compose import first_of_sweep
from sermm.configuration.verbs import RunConfig, as_typed


def run(arguments: Sequence[str]) -> int:
    """Sweeps, then writes the report; returns the exit status."""
    overrides = as_typed(["experiment=demo", *arguments])
    status = train.run(overrides)
    if status:
        return status
    study_dir = RunConfig.of(first_of_sweep(overrides)).study_dir
    made, folder = report.write_report(study_dir, to=None)
    print(f"page: {folder / 'index.html'}")
    return int(not made.complete)
