"""Scores a trained run on any fold, split or corpus, and says what of it was trained on."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from sermm.configuration.compose import compose, levels_of, resolved, without_places
from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.files import write_json
from sermm.core.records import Fold
from sermm.encoders.precision import device_for
from sermm.engine.assembly.inference import predict
from sermm.engine.assembly.normalisation import observe, observers
from sermm.engine.assembly.restore import Restored
from sermm.engine.inputs.corpus import Loaded, load
from sermm.engine.inputs.work import work_of
from sermm.engine.training.task import data_module
from sermm.runs.predictions import named, score, write_predictions

SPLITS = ("train", "val", "test", "all")


def evaluate(restored: Restored, overrides: Sequence[str], split: str) -> dict[str, Any]:
    """Predicts a split and writes `evaluations/<digest>/{result.json,predictions.csv}`.

    Args:
        restored: the run.
        overrides: of data, protocol, fold and trainer; what is not given is the run's own.
        split: train, val, test or all.

    Returns:
        The record, `seen_in_training` included: how many of the utterances (and of their
        talkers) the run was trained on.

    Raises:
        InputError: the classes differ, or the split is empty.
    """
    plain = merged(restored.plain, overrides)
    loaded = load(plain)
    refuse_other_classes(restored, loaded)
    fold = loaded.protocol.fold(loaded.reading.utterances, plain["fold"], plain["seed"])
    ids = members(fold, split)
    work = work_of(plain, loaded, ids, levels_of(plain["model"]["system"]))
    part = dataclasses.replace(fold, train=(), val=(), test=ids)
    data = data_module(work, part, restored.system)
    device = device_for(plain["trainer"]["accelerator"])
    if parts := observers(restored.system, "talker"):
        observe(parts, data.predict_dataloader(), device)
    found = predict(
        restored.system, data.predict_dataloader(), device, plain["trainer"]["precision"]
    )
    targets = loaded.targets
    classes = restored.result["classes"]
    record = {
        "run": restored.result["key"],
        "model": restored.result["model"],
        "data": plain["data"]["name"],
        "protocol": loaded.protocol.name,
        "fold": fold.number,
        "split": split,
        "utterances": len(found),
        "seen_in_training": seen(restored, plain, loaded, ids),
        "metrics": named(score(found, targets, classes), classes, split),
        "cut": data.cut,
    }
    corpus = without_places(plain["data"], plain["cache_dir"])
    name = digest([corpus, fold.digest, split])[:12]
    target = restored.folder.path / "evaluations" / name
    by_id = {u.id: u for u in loaded.reading.utterances}
    write_predictions(
        target / "predictions.csv",
        found,
        dict.fromkeys(ids, split),
        by_id,
        targets,
        classes,
        fold.number,
    )
    write_json(target / "result.json", record)
    return {**record, "folder": str(target)}


def merged(plain: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The run's configuration with the corpus, protocol, fold and trainer of the overrides."""
    asked = resolved(compose("evaluate", overrides))
    groups = {o.lstrip("+").split("=", 1)[0].split(".", 1)[0] for o in overrides}
    return {**plain, **{key: asked[key] for key in groups}}


def refuse_other_classes(restored: Restored, loaded: Loaded) -> None:
    """Scores need the same classes in the same order.

    Raises:
        InputError: they differ.
    """
    ours, theirs = restored.result["classes"], list(loaded.protocol.classes)
    if ours != theirs:
        raise InputError(
            f"the run knows the classes {ours}, protocol {loaded.protocol.name} has {theirs}; "
            "choose a protocol= with the same classes in the same order"
        )


def members(fold: Fold, split: str) -> tuple[str, ...]:
    """The ids of a split.

    Raises:
        InputError: no such split, or it is empty.
    """
    if split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    parts = {"train": fold.train, "val": fold.val, "test": fold.test}
    ids = parts[split] if split != "all" else tuple(sorted(i for p in parts.values() for i in p))
    if not ids:
        raise InputError(f"fold {fold.number} has no {split} part")
    return ids


def seen(
    restored: Restored, plain: dict[str, Any], loaded: Loaded, ids: Sequence[str]
) -> dict[str, int]:
    """How many of these utterances, and of their talkers, the run was trained on."""
    own = restored.plain
    if own["data"]["name"] != plain["data"]["name"]:
        return {"utterances": 0, "talkers": 0}
    trained_on = load({**own, "data": plain["data"]})
    fold = trained_on.protocol.fold(trained_on.reading.utterances, own["fold"], own["seed"])
    speakers = {u.id: u.speaker for u in trained_on.reading.utterances + loaded.reading.utterances}
    heard = {speakers[i] for i in fold.train}
    return {
        "utterances": len(set(ids) & set(fold.train)),
        "talkers": len({speakers[i] for i in ids} & heard),
    }


def default_split(restored: Restored, overrides: Sequence[str]) -> str:
    """The test part, or everything where the corpus is another one."""
    plain = merged(restored.plain, overrides)
    return "test" if plain["data"]["name"] == restored.plain["data"]["name"] else "all"
