"""The names under which runs and studies tell trackers what they know, in one list for all.

A tracker is a view of the run folder, which stays the record: `history` is its epochs, `summary`
its result, and the tables are its predictions. W&B makes a group of panels of what stands before
the first slash: train, val, test, overfit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sermm.configuration.verbs import RunConfig
from sermm.metrics.names import METRICS
from sermm.runs.metrics import EPOCH
from sermm.runs.result import Result

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
CONFIG = (STUDY, MODEL, PROTOCOL, DATA, FOLD, SEED)


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


def figures(result: Result) -> dict[str, float]:
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


def group(config: RunConfig) -> str:
    """What the folds and seeds of one system have in common: study/model/protocol.

    W&B can show the runs of a group as one line, their mean and spread.
    """
    return "/".join([config.study, config.model.name, config.protocol.name])


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
