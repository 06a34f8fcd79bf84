"""sermm evaluate RUN [key=value ...]: score a trained run on a fold, split or corpus.

RUN is a run folder, a key, STUDY/KEY, or 'STUDY:MODEL KEY=VALUE ...'. What is not given is the
run's own: corpus, protocol, fold. The split is the test part, or everything (split=all) on another
corpus. Utterances and talkers that the run was trained on are counted and printed. Writes
RUN/evaluations/<digest>/.

  sermm evaluate runs/first/0123456789abcdef
  sermm evaluate 0123456789abcdef fold=2 split=val
  sermm evaluate 0123456789abcdef data=emodb data.root=/corpora/emodb protocol=groups5 format=json

Keys: split (train | val | test | all), trust (packages of own code that the run may name),
format (table | json), runs_dir, and all of data, protocol,
trainer, fold, seed, cache_dir.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sermm.configuration.arguments import choice, parse_own, runs_folder
from sermm.core.errors import InputError
from sermm.core.figures import percent

if TYPE_CHECKING:
    from sermm.runs.evaluation import Evaluation


def run(arguments: Sequence[str]) -> int:
    """Evaluates; returns the exit status."""
    usage = "sermm evaluate RUN [split=test] [key=value ...]"
    words, own, overrides = parse_own(
        arguments, {"split": None, "trust": None, "format": "table", "runs_dir": None}, usage
    )
    output = choice(own["format"], "format", ("table", "json"))
    if len(words) != 1:
        raise InputError(f"give one run. Usage: {usage}")

    from sermm.engine.assembly.restore import restore
    from sermm.engine.evaluate import evaluate
    from sermm.runs.find import find_run

    restored = restore(find_run(words[0], runs_folder(own["runs_dir"])), own["trust"])
    evaluation, folder = evaluate(restored, overrides, own["split"])
    record = {**evaluation.as_json(), "folder": str(folder)}
    print(json.dumps(record, indent=2) if output == "json" else text(evaluation, folder))
    return 0


def text(found: "Evaluation", folder: Path) -> str:
    """The record for people."""
    scores = "\n".join(
        f"  {name.split('/')[1]:<12} {'-' if value is None else percent(value):>5}"
        for name, value in found.metrics.items()
    )
    seen = found.seen_in_training
    warning = ""
    if seen.utterances or seen.talkers:
        warning = (
            f"\nNOT A TEST: {seen.utterances} of these utterances and {seen.talkers} of "
            "their talkers were in this run's training part"
        )
    return (
        f"{found.model} ({found.run}) on {found.data}, {found.protocol} fold {found.fold}, "
        f"{found.split}: {found.utterances} utterances\n{scores}{warning}\nwritten to {folder}"
    )
