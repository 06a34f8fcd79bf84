"""What all tests share: shapes checked by jaxtyping and beartype, and made-up run folders."""

import os
from dataclasses import fields
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
hook = install_import_hook("sermm", "beartype.beartype")

# Only now, so that these are checked too.
from sermm.core.files import write_json  # noqa: E402
from sermm.runs.fields import record  # noqa: E402
from sermm.runs.predictions import write_rows  # noqa: E402
from sermm.runs.result import Counts, Epochs, Git, Parameters, Result, Seconds  # noqa: E402
from sermm.runs.setup import Setup  # noqa: E402
from sermm.runs.status import Status  # noqa: E402

# labels in rows, `[ang sad]`; folds 1 to 4 are small, fold 5 is larger, so that fold mean and
# pooled scores differ
SPEECH = [[[1, 1], [0, 2]]] * 4 + [[[9, 1], [1, 3]]]
FUSION = [[[2, 0], [0, 2]]] * 4 + [[[10, 0], [1, 3]]]
MAJORITY = [[[2, 0], [2, 0]]] * 4 + [[[10, 0], [4, 0]]]
LOOKUP = [[[1, 1], [1, 1]]] * 4 + [[[5, 5], [2, 2]]]


def predictions(confusion, classes, fold):
    rows = []
    for label, counts in zip(classes, confusion, strict=True):
        for predicted, count in zip(classes, counts, strict=True):
            rows += [(label, predicted)] * count
    return [
        {
            "utterance_id": f"u{fold}_{i}",
            "split": "test",
            "label": label,
            "predicted": predicted,
            **{f"p_{name}": float(name == predicted) for name in classes},
            "fold": fold,
            "group": str(fold),
            "dialogue": f"d{fold}_{i % 3}",
            "talker": f"t{fold}{i % 2}",
            "act": "scripted" if i % 2 else "improvised",
            "transcript_digest": f"{i:08x}",
        }
        for i, (label, predicted) in enumerate(rows)
    ]


def made_up(**changes) -> dict:
    """A finished run's result as its file has it."""
    base = Result(
        key="",
        study="demo",
        system="",
        model="late_fusion",
        floor=False,
        variant="late_fusion",
        settings={},
        setup=(Setup(variant="late_fusion", encoders=(), recipe={}),),
        data="iemocap",
        protocol="loso4",
        protocol_notes="Leave one session out.",
        leaky=False,
        headline="ua",
        classes=("ang", "sad"),
        fold=1,
        n_folds=5,
        seed=1,
        split_digest="split",
        metrics={},
        parameters=Parameters(total=1200, trainable=1000),
        seconds=Seconds(train=12.5, total=14.0),
        epochs=Epochs(best=3, last=8),
        selection="val",
        text_source=None,
        notes=(),
        published=(),
        papers=[],
        curves=[],
        counts=Counts(train=9, val=3, test=4, cut=0, problems=0),
        versions={"python": "3.12"},
        git=Git("abc123", dirty=False),
    )
    known = {field.name for field in fields(Result)}
    assert set(changes) <= known, f"Result has no {set(changes) - known}"
    return {**base.as_json(), **changes}


def write_run(study: Path, model: str, confusion, *, rows=None, fold=1, **changes) -> Path:
    """Writes a finished run folder; `changes` go into its result."""
    classes = changes.get("classes", ["ang", "sad"])
    rows = predictions(confusion, classes, fold) if rows is None else rows
    own = {
        "study": study.name, "system": f"{model}-system", "model": model, "variant": model,
        "floor": model in ("majority", "lookup"), "settings": {"model": model}, "fold": fold,
        "split_digest": f"split{fold}", "counts": {"train": 9, "val": 3, "test": len(rows)},
    }  # fmt: skip
    result = made_up(**{**own, **changes})
    result["key"] = result["key"] or (
        f"{result['system']}-{result['protocol']}-s{result['seed']}-f{fold}"
    )
    folder = study / result["key"]
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        f"fold: {fold}\nseed: {result['seed']}\nmodel:\n  system:\n    width: 4\n  name: {model}\n"
    )
    Status("finished").write(folder)
    write_json(folder / "result.json", result)
    val = {**rows[0], "utterance_id": "v", "split": "val", "predicted": rows[0]["label"]}
    write_rows(folder, [val, *rows])
    return folder


def write_system(study: Path, model: str, confusions, **changes) -> list[Path]:
    """Writes the runs of all folds."""
    return [
        write_run(study, model, confusion, fold=fold, **changes)
        for fold, confusion in enumerate(confusions, 1)
    ]


@pytest.fixture(scope="session")
def trained_models():
    """The folder of trained models, for tests with the marker `trained`."""
    if "SERMM_MODELS" not in os.environ:
        pytest.skip(
            "SERMM_MODELS is not set: give the folder that holds whisper-base, whisper-tiny.en and "
            "minilm, as save_pretrained writes them"
        )
    return Path(os.environ["SERMM_MODELS"])


@pytest.fixture
def study(tmp_path):
    """Two systems and two floors x five folds."""
    folder = tmp_path / "runs" / "demo"
    write_system(folder, "speech_only", SPEECH)
    write_system(folder, "late_fusion", FUSION, text_source="human")
    write_system(folder, "majority", MAJORITY)
    write_system(folder, "lookup", LOOKUP, text_source="human")
    return folder


@pytest.fixture
def system():
    """Writes a system's runs."""
    return write_system


@pytest.fixture
def result():
    """Makes a finished run's result, as its file has it."""
    return made_up


@pytest.fixture
def a_result():
    """Makes a finished run's result."""
    return lambda **changes: record(Result, made_up(**changes), "made up")


@pytest.fixture
def a_run():
    """Writes one run."""
    return write_run


def cell(row, column, system, value, **more):
    return {"row": row, "column": column, "system": system, "value": value, **more}


CELLS = [
    cell("F", "Coattention", "co F", 74.28),
    cell("F", "Late Fusion", "late F", 98.0, note="best of five"),
    cell("F+P", "Coattention", "co F+P", 74.57),
    cell("F+P", "Late Fusion", "late F+P", 75.15),
    cell("Others 2020", "Late Fusion", None, 70.08, note="another part of the corpus"),
]


@pytest.fixture
def cells():
    """The five cells of a paper's table."""
    return CELLS


@pytest.fixture
def paper():
    """Makes a table of a paper from cells, five if none are given."""

    def made(*cells, **changes):
        return {
            "source": "Zhao 2022", "title": "Table 2", "metric": "ua", "protocol": "loso4",
            "data": "iemocap", "note": "frozen encoders", "cells": list(cells or CELLS),
            "setup": {"runs": 1}, **changes,
        }  # fmt: skip

    return made


@pytest.fixture
def variant(tmp_path, paper):
    """Writes a system of some variant, which is its digest too unless one is given."""

    def wrote(name, confusions, **changes):
        given = {"papers": [paper()], "system": name, "variant": name}
        return write_system(tmp_path, name.split()[0], confusions, **{**given, **changes})

    return wrote


@pytest.fixture
def two_seeds(variant):
    """Writes UA 1 and 0.75 (seed 1), 0.625 and 0.875 (seed 2): means 0.875 and 0.75."""
    first, second = [[[4, 0], [0, 4]], [[2, 2], [0, 4]]], [[[1, 3], [0, 4]], [[4, 0], [1, 3]]]

    def wrote(name, **changes):
        for seed, confusions in enumerate((first, second), 1):
            variant(name, confusions, n_folds=2, seed=seed, **changes)

    return wrote
