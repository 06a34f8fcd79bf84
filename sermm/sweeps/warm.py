"""What the fork server of a pool imports before its first job, so that no job has to.

Nothing that starts threads which a job would need, as polars does: they are not there after a fork.
Nothing that looks for a GPU. Imported by that process alone.
"""

import signal
from importlib import import_module

from sermm.core.imports import uncollected

# As multiprocessing has it once all is imported: Ctrl-C is for the pool.
signal.signal(signal.SIGINT, signal.SIG_IGN)
with uncollected():
    for name in (
        "torch",
        "lightning",
        "transformers.modeling_utils",
        "torchmetrics.classification",
        "sermm.encoders.spectral.features",
        "sermm.engine.training.fit",
        "sermm.engine.record",
    ):
        import_module(name)
