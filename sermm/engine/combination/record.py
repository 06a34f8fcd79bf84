"""Configuration and result of a combination: what the report reads."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sermm.configuration.papers import combined, figures, tables_with
from sermm.core.digest import digest
from sermm.engine.combination.parts import Plan, Row
from sermm.runs.predictions import Prediction, named, score
from sermm.runs.versions import git_state, versions


def config(plan: Plan, study: str) -> dict[str, Any]:
    """What `config.yaml` says of it."""
    first = plan.parts[0].result
    return {
        "study": study,
        "data": {"name": first.data},
        "protocol": {"name": first.protocol},
        "fold": first.fold,
        "seed": first.seed,
        "model": {"name": plan.name},
        "combine": [
            {"study": p.folder.resolve().parent.name, "key": p.result.key, "weight": weight}
            for p, weight in zip(plan.parts, plan.weights, strict=True)
        ],
    }


def record(plan: Plan, study: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The result, its scores from rows of predictions.csv."""
    results = [part.result for part in plan.parts]
    first = results[0]
    names, weights = [r.model for r in results], ",".join(f"{w:g}" for w in plan.weights)
    shared = ("data", "protocol", "protocol_notes", "headline", "classes", "fold", "n_folds")
    made = f"average of the logits of {' and '.join(names)}, weights {weights}, not trained further"
    notes = [note for result in results for note in result.notes]
    sources = list(dict.fromkeys(r.text_source for r in results if r.text_source))
    variant = _variant(plan)
    papers = tables_with(variant, [table for result in results for table in result.papers])
    return {
        **{name: getattr(first, name) for name in (*shared, "seed", "split_digest")},
        "key": plan.key,
        "study": study,
        "system": plan.system,
        "model": plan.name,
        "variant": variant,
        "parts": [result.key for result in results],
        "part_predictions": [part.digest for part in plan.parts],
        "weights": list(plan.weights),
        "settings": _settings(plan, "+".join(names), weights),
        "leaky": any(result.leaky for result in results),
        "metrics": metrics(rows, first.classes),
        "parameters": _sums([result.parameters for result in results]),
        "seconds": _sums([result.seconds for result in results]),
        "epochs": {},
        "selection": _selection([result.selection for result in results]),
        "text_source": " + ".join(sources) or None,
        "notes": list(dict.fromkeys([made, *notes])),
        "published": figures(variant, papers),
        "curves": [],
        "papers": list({digest(table): table for table in papers}.values()),
        "counts": _counts([result.counts for result in results]),
        "versions": versions(),
        "git": _git([result.git for result in results]),
    }


def _settings(plan: Plan, names: str, weights: str) -> dict[str, str]:
    """What tells a combination from its namesakes, the settings of its parts included."""
    own = {
        f"part{n}.{key}": str(value)
        for n, part in enumerate(plan.parts, 1)
        for key, value in part.result.settings.items()
    }
    return {"parts": names, "weights": weights, **own}


def _variant(plan: Plan) -> str:
    """The name in tables of papers; those weigh their systems alike."""
    if len(set(plan.weights)) > 1:
        return plan.name
    return combined([part.result.variant for part in plan.parts])


def _sums(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums of what all parts have: a sum over some of them would look like one over all."""
    every = [name for name in records[0] if all(name in record for record in records)]
    return {name: sum(record[name] for record in records) for name in every}


def _counts(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The parts share their utterances, so that the largest count is that of the combination."""
    every = [name for name in records[0] if all(name in record for record in records)]
    return {name: max(record[name] for record in records) for name in every}


def _selection(selections: Sequence[str]) -> str:
    """The most that any part was allowed to see when its epoch was chosen."""
    return next((s for s in ("test", "val") if s in selections), selections[0])


def _git(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """This code's state; uncommitted changes of a part's code are the combination's, too."""
    own = git_state()
    return {**own, "dirty": any(state.get("dirty") for state in states) or own["dirty"]}


def metrics(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, float | None]:
    """Scores of rows of predictions.csv by the names of `result.json`."""
    found: dict[str, float | None] = {}
    for split in ("val", "test"):
        part = [row for row in rows if row["split"] == split]
        if part:
            said = [
                Prediction(r["utterance_id"], np.array([float(r[f"p_{c}"]) for c in classes]))
                for r in part
            ]
            targets = {row["utterance_id"]: row["label"] for row in part}
            found |= named(score(said, targets, classes), classes, split)
    return found
