"""The names under which runs and studies tell trackers what they know, in one list for all.

A tracker is a view of the run folder, which stays the record: `history` is its epochs, `summary`
its result, and the tables are its predictions. W&B makes a group of panels of what stands before
the first slash: train, val, test, overfit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sermm.configuration.verbs import RunConfig
from sermm.encoders.precision import device_for, device_name
from sermm.metrics.names import METRICS
from sermm.runs.metrics import EPOCH
from sermm.runs.result import Result
from sermm.runs.versions import git_state, versions
from sermm.tracking.systems import with_end
from sermm.tracking.tracker import Begun, Ended

LOSSES = ("train/loss", "val/loss")
SCORES = ("train/wa", "val/ua", "val/wa", "val/f1_macro")
RATIOS = ("overfit/wa_ratio", "overfit/loss_ratio")
SPLITS = ("val", "test")
PREDICTIONS = "predictions"
# Of the run that `sermm report STUDY wandb=true` writes.
STUDY_ROWS = "study/rows"
STUDY_FOLDS = "study/folds"
STUDY_INTERVALS = "study/intervals"
REPORT_JOB = "report"

MODEL, PROTOCOL, DATA, FOLD, SEED, STUDY = (
    "model/name",
    "protocol/name",
    "data/name",
    "fold",
    "seed",
    "study",
)
# Of a system, as the rows of a report are told apart: its name, its digest, and a fold of it.
SYSTEM, SYSTEM_KEY, SYSTEM_FOLD = "system", "system_key", "system_fold"
CONFIG = (STUDY, MODEL, PROTOCOL, DATA, FOLD, SEED, SYSTEM, SYSTEM_KEY, SYSTEM_FOLD)
# How the run stands, in the summary.
STATUS, REASON = "status", "status/reason"
# In the summary, before the names of the last epoch's figures; the chosen epoch's have none.
LAST = "last/"


def recalls(classes: Sequence[str], split: str) -> list[str]:
    """Recall of each class on one part."""
    return [f"{split}/recall_{name}" for name in classes]


def history(classes: Sequence[str]) -> list[str]:
    """What a run with validation says at the end of every epoch, in `metrics.csv` and to trackers.

    Systems and objectives may add losses.
    """
    return [EPOCH, *LOSSES, *SCORES, *recalls(classes, "val"), *RATIOS]


def confusion(split: str) -> str:
    """The chart of the confusion matrix of one part."""
    return f"{split}/confusion"


def chart_table(chart: str) -> str:
    """Where W&B keeps the table that a chart is drawn from."""
    return f"{chart}_table"


def summary(classes: Sequence[str]) -> list[str]:
    """What a finished run says of both parts."""
    scores = [f"{split}/{name}" for split in SPLITS for name in METRICS]
    return scores + [name for split in SPLITS for name in recalls(classes, split)]


def figures(result: Result) -> dict[str, float | int]:
    """What a finished run says of itself in numbers; what it does not know is left out.

    Returns:
        Metrics as fractions, epochs, seconds and numbers of parameters, by name.
    """
    parts = {
        f"{part}/{name}": value
        for part in ("epochs", "seconds", "parameters")
        for name, value in asdict(getattr(result, part)).items()
    }
    return {name: v for name, v in {**result.metrics, **parts}.items() if v is not None}


def outcome(ended: Ended) -> dict[str, float | int]:
    """A finished run in numbers, all of the chosen epoch; the result's own go first."""
    return {**ended.chosen, **figures(ended.result)}


def made_with(config: RunConfig) -> dict[str, Any]:
    """What a run is made with: versions, commit and digest of the diff, and the device."""
    found = {"versions": versions(), "git": asdict(git_state())}
    return {**flat(found), "device": device_name(device_for(config.device))}


def flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A configuration with one level: `model/learning/lr`; lists stay as they are.

    W&B filters and groups by single keys.

    Args:
        config: as JSON would have it.
        above: keys above it, with a slash at the end.
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{above}{key}/")
        else:
            found[f"{above}{key}"] = value
    return found


def config_of(begun: Begun) -> dict[str, Any]:
    """What a run is filtered and grouped by: its configuration, its system, what made it."""
    return {
        **flat(begun.config.plain),
        "run_key": begun.folder.name,
        SYSTEM: begun.label,
        SYSTEM_KEY: begun.system,
        SYSTEM_FOLD: f"{begun.label}, fold {begun.config.fold}",
        **made_with(begun.config),
    }


def group(begun: Begun, longest: int) -> str:
    """What the folds and seeds of one system have in common: study/protocol/system.

    W&B can show the runs of a group as one line, their mean and spread.

    Args:
        begun: a run.
        longest: in characters.
    """
    above = "/".join([begun.config.study, begun.config.protocol.name])
    words, _, mark = f"{above}/{begun.label}".rpartition(" ")
    return with_end(words, mark, longest)


def run_name(begun: Begun, longest: int) -> str:
    """What a run is called: its system, fold and seed, of `longest` characters at most."""
    words, _, mark = begun.label.rpartition(" ")
    return with_end(words, f"{mark} fold {begun.config.fold} seed {begun.config.seed}", longest)


def settings(begun: Begun) -> dict[str, str | float]:
    """What tells a run from others, as columns of a table; numbers as numbers."""
    config = begun.config
    return {
        "model": config.model.name,
        "data": config.data.name,
        "protocol": config.protocol.name,
        FOLD: config.fold,
        SEED: config.seed,
        **{key: _number(value) for key, value in begun.settings.items()},
    }


def _number(value: str) -> str | float:
    """A number if the text is one."""
    try:
        return float(value)
    except ValueError:
        return value


def tags(config: RunConfig) -> list[str]:
    """What runs are filtered by.

    Returns:
        Corpus, protocol and model, how features and texts are come by, and marks of what makes
        scores too good to compare.
    """
    named = [config.data.name, config.protocol.name, config.model.name]
    marks = ["leaky"] if config.protocol.name.endswith("_leaky") else []
    marks += ["selected_on_test"] if config.select_on_test else []
    read = [config.features.mode, f"text_{config.text.source}"]
    return list(dict.fromkeys([*named, *read, *marks]))
