"""sermm train [-m] [key=value ...]: train one system on one fold, or sweep over many.

A run's folder is runs/<study>/<key>, its key a digest of all that can change the result. A finished
run is skipped, an interrupted one goes on where it stopped. With -m, or with an experiment that is
a sweep, values separated by commas are combined, and the table of the study ends the sweep; so are
those of 'fold=range(1,6)' and 'model=glob(l*)'. In a sweep over several protocols, folds that one
of them does not have are left out.

  sermm train data=iemocap data.root=/corpora/IEMOCAP_full_release model=late_fusion fold=1
  sermm train -m model=speech_only,text_only,late_fusion,single_gate 'fold=range(1,6)' study=first
  sermm train encoder.speech.id=microsoft/wavlm-base-plus features=frozen trainer.batch_size=32
  sermm train experiment=real_speech data=emodb data.root=/corpora/emodb

Groups: data, protocol, model, encoder/speech, encoder/text, features (finetune | frozen | cached),
augment (none | speech | li2025), remedies (none | li2025), trainer, logger, experiment. Top-level
keys: fold (from 1), seed, study, teacher (a finished run, key or study) with distillation.*,
runs_dir, cache_dir. Own classes, other rules and folds that lack a class: `sermm data --help`.
`sermm train --cfg job ...` prints the configuration instead of running it.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig

from sermm.configuration.compose import (
    BASE,
    conf_dir,
    explain,
    first_of_sweep,
    globbed,
    is_sweep,
    with_hydra,
)
from sermm.configuration.slurm import in_our_words
from sermm.configuration.verbs import RunConfig, as_typed
from sermm.configuration.words import readable
from sermm.core.errors import InputError
from sermm.core.failures import TRACEBACK, said
from sermm.core.imports import uncollected
from sermm.runs.folder import make_folder
from sermm.sweeps.pool import prepare

_MANY = {"-m", "--multirun"}


def run(arguments: Sequence[str]) -> int:
    """Trains; returns the exit status."""
    early = _MANY & set(arguments) and not any(word.startswith("hydra/") for word in arguments)
    if early:
        # While this process gets jobs ready, the one that they come from imports what they need.
        prepare()
    if "hydra/launcher=slurm" in arguments:
        arguments = in_our_words(arguments, "hydra.launcher.")
    arguments = globbed(as_typed(arguments))
    flags = [a for a in arguments if a.startswith("-")]
    overrides = [a for a in arguments if not a.startswith("-")]
    if flags[:1] not in (["--cfg"], ["-c"], ["--info"]):
        # A misspelt key or a place that cannot be written is found before anything starts.
        first, own = with_hydra("train", first_of_sweep(overrides))
        make_folder(RunConfig.from_hydra(first).study_dir)
        readable([f"{key}={value}" for key, value in (own.sweeper.get("params") or {}).items()])
        if not flags and is_sweep(own):
            flags, arguments = ["-m"], ["-m", *arguments]
        if flags and not early and own.launcher._target_.endswith("GpuPoolLauncher"):
            # An experiment or a search, which says only now that it is many runs.
            prepare()
    with uncollected():
        from sermm.sweeps.sweep import Sweep

    sweep = Sweep()
    launch(arguments, sweep.job)
    return sweep.status()


def execute(words: list[str], handed: Mapping[str, Any]) -> int:
    """`sermm train` as a process of a pool calls it: what it says goes into a log.

    Args:
        words: of the run.
        handed: what they compose to; further processes of the run, which Lightning starts, compose
            them themselves.
    """
    os.environ.setdefault(TRACEBACK, "1")
    # As Hydra does it for `conf/train.yaml`.
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    try:
        from sermm.sweeps.sweep import Sweep

        sweep = Sweep()
        with _as_typed_by_hand([*words, "hydra.mode=RUN"]):
            sweep.only(RunConfig.read(handed), words)
        return sweep.status()
    except (Exception, KeyboardInterrupt) as error:
        return said("train", error)


def launch(arguments: Sequence[str], job: Callable[[DictConfig], float | None]) -> None:
    """Hands the arguments to Hydra, which calls `job` once or many times.

    Raises:
        InputError: one of the runs cannot be composed.
    """
    import hydra
    from hydra.errors import HydraException

    os.environ["HYDRA_FULL_ERROR"] = "1"
    sweeps = [a for a in arguments if a in {"-m", "--multirun"}]
    try:
        with _as_typed_by_hand([*sweeps[:1], *(a for a in arguments if a not in sweeps)]):
            hydra.main(**BASE, config_path=str(conf_dir()), config_name="train")(job)()
    except HydraException as error:
        raise InputError(f"{explain(error)} (given: {' '.join(arguments)})") from error


@contextmanager
def _as_typed_by_hand(arguments: Sequence[str]) -> Iterator[None]:
    """Within, the process is one that was started with these arguments.

    Hydra reads them, and Lightning starts further processes of a run by the path in argv[0], unless
    there is a module.
    """
    started = sys.modules["__main__"]
    before = sys.argv, started.__spec__
    sys.argv, started.__spec__ = [__file__, *arguments], None
    try:
        yield
    finally:
        sys.argv, started.__spec__ = before


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
