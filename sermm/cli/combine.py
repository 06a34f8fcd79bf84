"""sermm combine PART PART [...] study=NEW [key=value ...]: average the logits of finished systems.

Nothing is trained: the parts' predictions.csv are joined on the utterance, and the combination
becomes a run of study NEW, which `sermm report` reads like any other. Runs give one combination;
studies give one for every corpus, protocol, seed and fold that all of them have. A run without a
partner is counted and listed. Given again, what is there is not made again.

PART is a run (a folder, a key, STUDY/KEY), a study with one system (floors aside), or
'STUDY:MODEL KEY=VALUE ...', where MODEL is the name of a model, of its variant, or of a row as
`sermm report` prints it.

  sermm combine table2:coattention table2:late_fusion study=table3
  sermm combine 'table2:late_fusion model.streams=[text,frame]' first weights=2,1 study=both
  sermm combine first:speech_only first:text_only scale=calibrated study=both
  sermm combine 0123456789abcdef runs/first/fedcba9876543210 study=pair format=json

A part that is sure of all it says, right or wrong, outvotes the others by its large logits.
scale=calibrated divides the logits of each part by a temperature, fitted to its validation
predictions by their likelihood (Guo et al. 2017). What both scales come to on validation is printed
in any case, with a warning where the combination is below one of its parts there.

Keys: study, name (combination), weights (1 for each part), scale (raw | calibrated), runs_dir,
format (table | json).
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sermm.configuration.arguments import choice, parse, runs_folder
from sermm.core.errors import InputError
from sermm.core.figures import fixed, percent
from sermm.core.names import study_folder
from sermm.core.records import Problem

if TYPE_CHECKING:
    from sermm.engine.combination.choice import Choice
    from sermm.engine.combination.parts import Plan, Scale

USAGE = (
    "sermm combine PART PART [...] study=NEW [name=combination] [weights=1,1] "
    "[scale=raw|calibrated]"
)
_SCALES = ("raw", "calibrated")


def run(arguments: Sequence[str]) -> int:
    """Combines; returns the exit status.

    Raises:
        InputError: wrong use, or parts that do not fit.
    """
    known = {
        "study": None,
        "name": "combination",
        "weights": None,
        "scale": "raw",
        "format": "table",
        "runs_dir": None,
    }
    words, own = parse(arguments, known, USAGE)
    output = choice(own["format"], "format", ("table", "json"))
    if len(words) < 2:
        raise InputError(f"give two or more parts, got {words or 'none'}. Usage: {USAGE}")
    if not own["study"]:
        raise InputError(f"study= must say where the combinations go. Usage: {USAGE}")
    weights = shares(own["weights"], len(words))
    scale: Scale = choice(own["scale"], "scale", _SCALES)  # type: ignore[assignment]
    runs_dir = runs_folder(own["runs_dir"])
    study_dir = study_folder(runs_dir, own["study"])

    from sermm.engine.combination.choice import chosen, matched
    from sermm.engine.combination.parts import Plan, read_part

    choices = [chosen(word, runs_dir) for word in words]
    groups, lonely = matched(choices)
    if not groups:
        raise InputError(
            f"{' and '.join(words)} share no corpus, protocol, seed and fold:\n"
            + "\n".join(_listed(lonely))
        )
    name = own["name"] or ""
    plans = [Plan.checked([read_part(f) for f in g], weights, name, scale) for g in groups]
    made = [combination(plan, study_dir) for plan in plans]
    if output == "json":
        record = {"combinations": made, "no_partner": [asdict(problem) for problem in lonely]}
        print(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print("\n".join([*map(line, made), *_open_ends(choices, lonely)]))
    return 0


def shares(text: str | None, n: int) -> list[float]:
    """Weights as typed (`2,1`); 1 for each of n parts if none are given.

    Raises:
        InputError: they are not numbers.
    """
    try:
        return [1.0] * n if text is None else [float(word) for word in text.split(",")]
    except ValueError as error:
        raise InputError(f"weights must be numbers divided by commas, got {text!r}") from error


def combination(plan: "Plan", study_dir: Path) -> dict[str, Any]:
    """Makes a combination; returns what is said of it, UA as fractions."""
    from sermm.engine.combination.combine import combine
    from sermm.engine.combination.record import metrics
    from sermm.engine.combination.validation import on_validation, warning

    result = combine(plan, study_dir)
    validation = on_validation(plan)
    names = ("key", "study", "model", "data", "protocol", "fold", "seed")
    return {
        **{name: getattr(result, name) for name in names},
        "folder": str(study_dir / result.key),
        "ua": result.test_ua,
        "scale": plan.scale,
        "validation": None if validation is None else asdict(validation),
        "warning": None if validation is None else warning(plan, validation),
        "parts": [
            {
                "key": part.result.key,
                "model": part.result.model,
                "weight": weight,
                "ua": metrics(list(part.rows.values()), part.result.classes)["test/ua"],
            }
            for part, weight in zip(plan.parts, plan.weights, strict=True)
        ],
    }


def line(made: dict[str, Any]) -> str:
    """A combination for people."""
    parts = ", ".join(f"{part['model']} {percent(part['ua'])}" for part in made["parts"])
    lines = [
        f"{made['data']}, {made['protocol']}, fold {made['fold']}, seed {made['seed']}: test UA "
        f"{parts} -> {made['model']} {percent(made['ua'])}  {made['folder']}"
    ]
    lines += [_validation(made)] if made["validation"] else []
    return "\n".join([*lines, *([f"  warning: {made['warning']}"] if made["warning"] else [])])


def _validation(made: dict[str, Any]) -> str:
    """Both scales and the parts on validation."""
    found, names = made["validation"], [part["model"] for part in made["parts"]]
    parts = ", ".join(f"{n} {percent(ua)}" for n, ua in zip(names, found["parts"], strict=True))
    scales = ", ".join(
        f"{scale} {percent(ua)}{' (this)' if scale == made['scale'] else ''}"
        for scale, ua in found["scales"].items()
    )
    at = ", ".join(fixed(t, 2) for t in found["temperatures"])
    return f"  validation UA {parts} -> {scales}; temperatures {at}"


def _open_ends(choices: Sequence["Choice"], lonely: Sequence[Problem]) -> list[str]:
    unfinished = {choice.study: choice.unfinished for choice in choices if choice.unfinished}
    lines = [
        f"{study}: {n} run folders did not finish or cannot be read; "
        f"{shlex.join(['sermm', 'report', str(study)])} says why"
        for study, n in unfinished.items()
    ]
    return [*lines, *([f"without a partner: {len(lonely)}", *_listed(lonely)] if lonely else [])]


def _listed(problems: Sequence[Problem]) -> list[str]:
    return [f"  {problem.where}: {problem.what}" for problem in problems]
