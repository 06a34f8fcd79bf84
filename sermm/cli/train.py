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
runs_dir, cache_dir.
`sermm train --cfg job ...` prints the configuration instead of running it.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from sermm.core.errors import InputError
from sermm.engine.config import VERSION_BASE, compose, conf_dir, first_of_sweep, resolved
from sermm.engine.run_folder import make_folder


def run(arguments: Sequence[str]) -> int:
    """Trains; returns the exit status."""
    flags = [a for a in arguments if a.startswith("-")]
    overrides = [a for a in arguments if not a.startswith("-")]
    if flags[:1] not in (["--cfg"], ["-c"], ["--info"]):
        # A misspelt key or a place that cannot be written is found before anything starts.
        plain = resolved(compose("train", first_of_sweep(overrides)))
        make_folder(Path(plain["runs_dir"]) / plain["study"])
    sweep = Sweep()
    launch(arguments, sweep)
    return sweep.status()


class Sweep:
    """What the jobs of this command came to."""

    def __init__(self) -> None:
        # The finished runs by study, and what a study's runs are to be combined to.
        self.studies: dict[Path, list[Path]] = {}
        self.wishes: dict[Path, tuple[str, list[str]]] = {}
        self.failures: list[str] = []
        # Folds that a protocol does not have; a sweep over several protocols may ask for them.
        self.no_folds: list[str] = []
        self.protocols: set[str] = set()
        self.error: Exception | None = None
        self.multirun = False

    def job(self, cfg: DictConfig) -> None:
        """Runs one job; a failure is noted, and the other jobs go on."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from sermm.data.protocol import NoSuchFoldError
        from sermm.engine.combine_sweep import wish
        from sermm.engine.task import title
        from sermm.engine.train import run as run_one

        hydra = HydraConfig.get()
        self.multirun = hydra.mode == RunMode.MULTIRUN
        plain = resolved(cfg)
        if self.multirun and plain["trainer"]["devices"] != 1:
            raise InputError(
                "this launcher runs the jobs of a sweep inside one process, which cannot use "
                "several devices; set trainer.devices=1, or start the runs one by one without -m"
            )
        study = Path(plain["runs_dir"]) / plain["study"]
        finished = self.studies.setdefault(study, [])
        self.protocols.add(plain["protocol"]["name"])
        if self.multirun and (wished := wish(plain)):
            self.wishes[study] = wished
        try:
            result = run_one(plain, list(hydra.overrides.task))
        except Exception as error:
            if not self.multirun:
                # Raised after Hydra is done, which would print its own lines around it.
                self.error = error
                return
            if isinstance(error, NoSuchFoldError):
                self.no_folds.append(str(error))
                return
            if not isinstance(error, InputError):
                traceback.print_exc()
            self.failures.append(f"{title(plain)}: {type(error).__name__}: {error}")
            print(f"FAILED {self.failures[-1]}", file=sys.stderr, flush=True)
            return
        finished.append(study / result["key"])
        print(f"{title(plain)}: {summary(result)}", flush=True)

    def status(self) -> int:
        """Prints the table of a sweep and what failed; returns the exit status.

        Raises:
            Exception: what the only job raised.
        """
        if self.error is not None:
            raise self.error
        several = len(self.protocols) > 1
        for line in dict.fromkeys(self.no_folds):
            print(f"left out: {line}" if several else f"FAILED {line}", file=sys.stderr)
        if self.multirun:
            from sermm.report.tables import build
            from sermm.report.text import table_text

            self._combine()
            for study in sorted(self.studies):
                try:
                    print(table_text(build(study, allow_missing=True)))
                except InputError as error:
                    print(f"no table: {error}", file=sys.stderr)
        for failure in self.failures:
            print(f"FAILED {failure}", file=sys.stderr)
        return 1 if self.failures or (self.no_folds and not several) else 0

    def _combine(self) -> None:
        """Makes the combinations that were asked for; a run without a partner is a failure."""
        from sermm.engine.combine_sweep import combine_sweep

        for study, (name, models) in self.wishes.items():
            try:
                made, lonely = combine_sweep(name, models, self.studies[study], study)
            except InputError as error:
                self.failures.append(str(error))
                continue
            for result in made:
                ua, key = result["metrics"]["test/ua"], result["key"]
                where = f"{result['protocol']} fold {result['fold']}, seed {result['seed']}"
                print(f"{name} of {' and '.join(models)}, {where}: test UA {ua:.3f}, {key}")
            self.failures += [f"{name}: {problem.what}" for problem in lonely]


def summary(result: dict[str, object]) -> str:
    """A finished run in one line."""
    metrics, epochs, seconds = result["metrics"], result["epochs"], result["seconds"]
    if not (isinstance(metrics, dict) and isinstance(epochs, dict) and isinstance(seconds, dict)):
        raise TypeError("result.json has another form than this version of sermm writes")
    return (
        f"test UA {metrics['test/ua']:.3f}, WA {metrics['test/wa']:.3f}; "
        f"epoch {epochs['best']} of {epochs['last']}, {seconds['total']:.0f} s, {result['key']}"
    )


def launch(arguments: Sequence[str], sweep: Sweep) -> None:
    """Hands the arguments to Hydra, which calls `sweep.job` once or many times."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"
    before = sys.argv
    # Lightning starts further processes of a run by the path in argv[0].
    sweeps = [a for a in arguments if a in {"-m", "--multirun"}]
    sys.argv = [__file__, *sweeps[:1], *(a for a in arguments if a not in sweeps)]
    try:
        hydra.main(version_base=VERSION_BASE, config_path=str(conf_dir()), config_name="train")(
            sweep.job
        )()
    finally:
        sys.argv = before


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
