"""The combinations that a sweep asks for, of the runs that it has just made or found.

`combine` in an experiment's YAML says which models; `sermm combine` makes the same by hand.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.records import Problem
from sermm.engine.combination.choice import Choice, matched
from sermm.engine.combination.combine import combine
from sermm.engine.combination.parts import Plan, read_part
from sermm.engine.combination.validation import on_validation, warning
from sermm.runs.result import Result


def combine_sweep(
    name: str, models: Sequence[str], folders: Sequence[Path], study_dir: Path
) -> tuple[list[Result], list[Problem]]:
    """One combination for every corpus, protocol, seed and fold that all the models have.

    Args:
        name: of the combination.
        models: whose logits are averaged.
        folders: finished runs of the sweep.
        study_dir: the study that gets the combinations.

    Returns:
        Their results, and the runs that lack a partner.

    Raises:
        InputError: a model has several systems in the sweep.
    """
    results = {folder: read_part(folder).result for folder in dict.fromkeys(folders)}
    choices = []
    for model in models:
        own = {folder: result for folder, result in results.items() if result.model == model}
        if len({result.system for result in own.values()}) > 1:
            raise InputError(
                f"combine: the sweep has several systems {model}; combine them by hand: "
                "sermm combine STUDY:SYSTEM STUDY:SYSTEM study=NEW"
            )
        choices.append(Choice(model, own, study_dir))
    groups, lonely = matched(choices)
    plans = [
        Plan.checked([read_part(f) for f in group], [1.0] * len(group), name) for group in groups
    ]
    for plan in plans:
        validation = on_validation(plan)
        if validation is not None and (said := warning(plan, validation)):
            print(f"{name}: {said}", file=sys.stderr)
    return [combine(plan, study_dir) for plan in plans], lonely
