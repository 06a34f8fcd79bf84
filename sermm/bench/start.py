"""The case `start` of `sermm bench`: what a sweep of short runs spends before and between them.

Against the obvious alternative, a `sermm train` command for each run: that imports and composes
anew each time. All on the synthetic corpus, which is made before anything is timed.
"""

import math
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import cast

from sermm.bench.measures import Measurement, scratch
from sermm.bench.timing import best_of, ratio, run

_TRAIN = (sys.executable, "-m", "sermm", "train")
_SMALL = (
    "data=demo",
    # A second of training; speech takes three on two cores.
    "model=text_only",
    "encoder/text=tiny",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=1",
)
# Twelve runs.
_SWEPT = {"fold": 4, "seed": 3}


def start_case() -> list[Measurement]:
    """Twelve runs of a second or so: as a sweep, and as commands; and composing one of them."""
    n = math.prod(_SWEPT.values())
    with scratch() as root:
        words = [*_SMALL, f"cache_dir={root / 'cache'}", f"runs_dir={root / 'runs'}"]
        # The first one makes the corpus; each has a study of its own, as a finished run is skipped.
        studies = count()

        def alone() -> None:
            run([*_TRAIN, *words, f"study=s{next(studies)}"])

        alone()
        alone_s = best_of(2, alone)
        first_s, all_s = swept(words, root)
        anew_s, again_s = composed(words)
    return [
        Measurement("start", "a sweep's first result", first_s, "s", 8.0),
        Measurement("start", "a command for one of its runs", alone_s, "s"),
        Measurement("start", f"a sweep of {n} short runs", all_s, "s"),
        Measurement("start", f"ratio of that to {n} commands", ratio(all_s, n * alone_s), "x", 0.5),
        Measurement("start", "composing a job of a sweep", again_s, "s", 0.1),
        Measurement("start", "ratio to composing a command", ratio(again_s, anew_s), "x"),
    ]


def swept(words: Sequence[str], root: Path) -> tuple[float, float]:
    """Seconds from the command of a sweep to its first result, and to its end.

    Args:
        words: of each run.
        root: for what it says on stderr.

    Raises:
        subprocess.CalledProcessError: it failed, so its time would mean nothing.
    """
    values = [f"{key}={','.join(map(str, range(1, n + 1)))}" for key, n in _SWEPT.items()]
    command = [*_TRAIN, "-m", *words, *values, "study=swept"]
    first_s, start_s = 0.0, time.monotonic()
    with (root / "errors").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        for line in process.stdout or ():
            if "test UA" in line and not first_s:
                first_s = time.monotonic() - start_s
        status = process.wait()
    if status:
        raise subprocess.CalledProcessError(status, command)
    return first_s, time.monotonic() - start_s


def composed(words: Sequence[str]) -> tuple[float, float]:
    """Seconds to compose and read a configuration from words, and one of a sweep's jobs."""
    from hydra import compose, initialize_config_dir
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.global_hydra import GlobalHydra

    from sermm.configuration.compose import BASE, conf_dir
    from sermm.configuration.sweep_loader import SweepLoader
    from sermm.configuration.verbs import RunConfig

    anew_s = best_of(5, lambda: RunConfig.of(words))
    with initialize_config_dir(str(conf_dir()), **BASE):
        master = compose("train", return_hydra_config=True)
        loader = SweepLoader(cast(ConfigLoaderImpl, GlobalHydra.instance().config_loader()))
        start_s = time.perf_counter()
        for fold in range(1, 21):
            RunConfig.from_hydra(loader.load_sweep_config(master, [*words, f"fold={fold}"]))
        # The first job's choices are among what the jobs of a sweep share.
        again_s = (time.perf_counter() - start_s) / 20
    return anew_s, again_s
