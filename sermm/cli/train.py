"""sermm train [-m] [key=value ...]: train one system on one fold, or sweep over many.

A run's folder is runs/<study>/<key>, its key a digest of all that can change the result. A finished
run is skipped, an interrupted one goes on where it stopped. With -m, or with an experiment that is
a sweep, values separated by commas are combined, and the table of the study ends the sweep. In a
sweep over several protocols, folds that one of them does not have are left out.

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

import os
import sys
from collections.abc import Callable, Sequence

from omegaconf import DictConfig

from sermm.configuration.compose import (
    BASE,
    conf_dir,
    explain,
    first_of_sweep,
    globbed,
    is_sweep,
)
from sermm.configuration.verbs import RunConfig, as_typed
from sermm.core.errors import InputError
from sermm.core.failures import TRACEBACK
from sermm.runs.folder import make_folder


def run(arguments: Sequence[str]) -> int:
    """Trains; returns the exit status."""
    arguments = globbed(as_typed(arguments))
    flags = [a for a in arguments if a.startswith("-")]
    overrides = [a for a in arguments if not a.startswith("-")]
    if flags[:1] not in (["--cfg"], ["-c"], ["--info"]):
        # A misspelt key or a place that cannot be written is found before anything starts.
        first = first_of_sweep(overrides)
        make_folder(RunConfig.of(first).study_dir)
        # The jobs of a pool say that they are one run: nothing to look up.
        said = any(word.startswith("hydra.mode=") for word in overrides)
        if not (flags or said) and is_sweep("train", first):
            arguments = ["-m", *arguments]

    from sermm.sweeps.sweep import Sweep

    sweep = Sweep()
    launch(arguments, sweep.job)
    return sweep.status()


def execute(words: list[str]) -> int:
    """`sermm train` as a process of a pool calls it: what it says goes into a log."""
    from sermm.cli.main import main

    os.environ.setdefault(TRACEBACK, "1")
    return main(["train", *words])


def launch(arguments: Sequence[str], job: Callable[[DictConfig], float | None]) -> None:
    """Hands the arguments to Hydra, which calls `job` once or many times.

    Raises:
        InputError: one of the runs cannot be composed.
    """
    import hydra
    from hydra.errors import HydraException

    os.environ["HYDRA_FULL_ERROR"] = "1"
    started = sys.modules["__main__"]
    before = sys.argv, started.__spec__
    # Lightning starts further processes of a run by the path in argv[0], unless there is a module.
    started.__spec__ = None
    sweeps = [a for a in arguments if a in {"-m", "--multirun"}]
    sys.argv = [__file__, *sweeps[:1], *(a for a in arguments if a not in sweeps)]
    try:
        hydra.main(**BASE, config_path=str(conf_dir()), config_name="train")(job)()
    except HydraException as error:
        raise InputError(f"{explain(error)} (given: {' '.join(arguments)})") from error
    finally:
        sys.argv, started.__spec__ = before


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
