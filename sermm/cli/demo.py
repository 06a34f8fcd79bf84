"""sermm demo [key=value ...]: a sweep of models x folds on a synthetic corpus, and its report.

The corpus is synthesised on first use under cache_dir, in IEMOCAP's exact layout. It proves that
everything works together; its scores say nothing about emotion in real speech.

  sermm demo
  sermm demo fold=1 trainer.max_epochs=3 study=quick

Keys: as for `sermm train experiment=demo`.
"""

from collections.abc import Sequence
from pathlib import Path

from sermm.cli import report, train
from sermm.configuration.compose import compose, first_of_sweep


def run(arguments: Sequence[str]) -> int:
    """Sweeps, then writes the report; returns the exit status."""
    overrides = ["experiment=demo", *arguments]
    status = train.run(overrides)
    if status:
        return status
    cfg = compose("train", first_of_sweep(overrides))
    _, folder = report.write_report(Path(cfg.runs_dir) / cfg.study, to=None, allow_missing=False)
    print(f"page: {folder / 'index.html'}")
    return 0
