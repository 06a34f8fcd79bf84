"""Configuration and result of a combination: what the report reads.

A combination has the files of a run, so that tables and figures show it beside runs and know
nothing of how it was made. What it says of itself is what its parts share (corpus, protocol, fold),
what they add up to (parameters, seconds), the most that any of them was allowed (the test fold to
choose an epoch), and what is its own: name, weights, and scores of the averaged predictions.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, Final, TypeVar

import numpy as np

from sermm.configuration.papers import combined, figures, tables_with
from sermm.core.digest import digest
from sermm.engine.combination.parts import SAME, Plan
from sermm.runs.predictions import Prediction, Row, named, score
from sermm.runs.result import Counts, Epochs, Git, Parameters, Published, Result, Seconds
from sermm.runs.versions import git_state, versions

# What parts have in common: what they were compared in, and what follows from it.
_SHARED: Final = (*SAME, "protocol_notes", "headline", "n_folds", "balance")
T = TypeVar("T", Parameters, Seconds, Counts)


def config(plan: Plan, study: str) -> dict[str, Any]:
    """Its configuration, for `config.yaml`.

    No run can be started from it: it says for people where the combination stands, and which runs
    it was made of.

    Args:
        plan: of the combination.
        study: the name of the study that gets it.
    """
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
        **({} if plan.scale == "raw" else {"scale": plan.scale}),
    }


def record(plan: Plan, study: str, rows: Sequence[Row]) -> Result:
    """The result, its scores from rows of predictions.

    Args:
        plan: of the combination.
        study: the name of the study that gets it.
        rows: its own predictions, not those of its parts.
    """
    results = [part.result for part in plan.parts]
    shared: dict[str, Any] = {name: getattr(results[0], name) for name in _SHARED}
    variant = _variant(plan)
    papers = tables_with(variant, [table for result in results for table in result.papers])
    return Result(
        key=plan.key,
        study=study,
        system=plan.system,
        model=plan.name,
        floor=False,
        variant=variant,
        parts=tuple(result.key for result in results),
        part_predictions=tuple(part.digest for part in plan.parts),
        weights=plan.weights,
        temperatures=plan.temperatures,
        settings=_settings(plan),
        setup=tuple(one for result in results for one in result.setup),
        experiment=next((r.experiment for r in results if r.experiment), None),
        **shared,
        leaky=any(result.leaky for result in results),
        metrics=metrics(rows, results[0].classes),
        parameters=_together(Parameters, [result.parameters for result in results], sum),
        seconds=_together(Seconds, [result.seconds for result in results], sum),
        epochs=Epochs(),
        selection=_selection([result.selection for result in results]),
        text_source=_text_source(results),
        notes=_notes(plan),
        published=tuple(map(Published.of, figures(variant, papers))),
        papers=list({digest(table): table for table in papers}.values()),
        curves=[],
        # The parts share their utterances.
        counts=_together(Counts, [result.counts for result in results], max),
        versions=versions(),
        git=_git([result.git for result in results]),
    )


def _weights(plan: Plan) -> str:
    return ",".join(f"{w:g}" for w in plan.weights)


def _settings(plan: Plan) -> dict[str, str]:
    """What tells a combination from its namesakes, the settings of its parts included.

    `part1.encoder.speech.layers` and the like, so that combinations of the same models with other
    settings are rows of their own.
    """
    own = {
        f"part{n}.{key}": str(value)
        for n, part in enumerate(plan.parts, 1)
        for key, value in part.result.settings.items()
    }
    names = "+".join(part.result.model for part in plan.parts)
    scale = {} if plan.scale == "raw" else {"scale": plan.scale}
    return {"parts": names, "weights": _weights(plan), **scale, **own}


def _notes(plan: Plan) -> tuple[str, ...]:
    """How it was made, then what its parts have to say, each once."""
    names = " and ".join(part.result.model for part in plan.parts)
    scale = "" if plan.scale == "raw" else ", each divided by a temperature fitted on validation"
    made = f"average of the logits of {names}{scale}, weights {_weights(plan)}, not trained further"
    notes = [note for part in plan.parts for note in part.result.notes]
    return tuple(dict.fromkeys([made, *notes]))


def _text_source(results: Sequence[Result]) -> str | None:
    """Where the texts of the parts that read some come from, each source once."""
    return " + ".join(dict.fromkeys(r.text_source for r in results if r.text_source)) or None


def _variant(plan: Plan) -> str:
    """The name in tables of papers; those weigh their systems alike, and take logits as they are.

    So a combination with weights or a scale of its own is no paper's, and goes by its own name.
    """
    if len(set(plan.weights)) > 1 or plan.scale != "raw":
        return plan.name
    return combined([part.result.variant for part in plan.parts])


def _together(kind: type[T], records: Sequence[T], how: Callable[[list[Any]], Any]) -> T:
    """Sums, say, of what all parts have: one over some of them would look like one over all.

    Args:
        kind: of the records.
        records: one of each part.
        how: makes one figure of those of the parts.

    Returns:
        A record of that kind; None in each field that some part does not have.
    """
    found: dict[str, Any] = {}
    for one in fields(kind):
        values = [getattr(record, one.name) for record in records]
        found[one.name] = None if None in values else how(values)
    return kind(**found)


def _selection(selections: Sequence[str]) -> str:
    """The most that any part was allowed to see when its epoch was chosen.

    If one was chosen on the test fold, so was the combination.
    """
    return next((s for s in ("test", "val") if s in selections), selections[0])


def _git(states: Sequence[Git]) -> Git:
    """This code's state; uncommitted changes of a part's code are the combination's, too."""
    own = git_state()
    return replace(own, dirty=any(state.dirty for state in states) or own.dirty)


def metrics(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, float | None]:
    """Scores of rows of predictions by the names of `Result.metrics`.

    Also of a part by itself, whose scores `sermm combine` prints beside those of the average.

    Args:
        rows: of `combined_rows`, or of a file of predictions.
        classes: in the order of the scores.

    Returns:
        Fractions by name; nothing of a split that has no row.
    """
    found: dict[str, float | None] = {}
    for split in ("val", "test"):
        part = [row for row in rows if row["split"] == split]
        if part:
            predictions = [
                Prediction(r["utterance_id"], np.array([float(r[f"p_{c}"]) for c in classes]))
                for r in part
            ]
            targets = {row["utterance_id"]: row["label"] for row in part}
            found |= named(score(predictions, targets, classes), classes, split)
    return found
