"""sermm evaluate RUN ... [key=value ...]: score trained runs on a fold, split or corpus.

RUN is a run folder, a key, STUDY/KEY, or 'STUDY:MODEL KEY=VALUE ...'. What is not given is the
run's own: corpus, protocol, fold. The split is the test part, or everything (split=all) on another
corpus. Utterances and talkers that the run was trained on are counted and printed. Writes
RUN/evaluations/<digest>/.

condition= says under what the utterances are heard and read, one or several: clean, noise:SNR
(white, dB of the whole clip), babble:SNR (four other talkers of the part), band:HZ (nothing above
it), asr:RECOGNISER (texts that `sermm transcribe` has made), human. What is drawn follows from seed
and utterance; units of speech stay those of the clean recording. With it several runs may be given,
and a STUDY or 'STUDY:MODEL ...' stands for all of its runs; sermm report then shows UA by
condition.

  sermm evaluate runs/first/0123456789abcdef
  sermm evaluate 0123456789abcdef fold=2 split=val
  sermm evaluate 0123456789abcdef data=emodb data.root=/corpora/emodb protocol=groups5 format=json
  sermm evaluate first:late_fusion condition=[clean,noise:20,noise:10,noise:0,band:4000]

Keys: split (train | val | test | all), condition, trust (packages of own code that the run may
name), format (table | json), runs_dir, and all of data, protocol, trainer, fold, seed, cache_dir.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sermm.configuration.arguments import choice, parse_own, runs_folder
from sermm.core.errors import InputError
from sermm.core.figures import percent

if TYPE_CHECKING:
    from sermm.configuration.conditions import Condition
    from sermm.runs.evaluation import Evaluation

_USAGE = "sermm evaluate RUN [split=test] [condition=noise:10] [key=value ...]"
_KNOWN: dict[str, str | None] = {
    "split": None,
    "condition": None,
    "trust": None,
    "format": "table",
    "runs_dir": None,
}
_Found = list[tuple["Evaluation", Path]]


def run(arguments: Sequence[str]) -> int:
    """Evaluates; returns the exit status."""
    words, own, overrides = parse_own(arguments, _KNOWN, _USAGE)
    output = choice(own["format"], "format", ("table", "json"))
    runs_dir = runs_folder(own["runs_dir"])
    if own["condition"] is None:
        if len(words) != 1:
            raise InputError(f"give one run, or condition= for several. Usage: {_USAGE}")
        from sermm.runs.find import find_run

        ((evaluation, folder),) = _evaluated([find_run(words[0], runs_dir)], own, overrides, ())
        record = {**evaluation.as_json(), "folder": str(folder)}
        print(json.dumps(record, indent=2) if output == "json" else text(evaluation, folder))
        return 0
    if not words:
        raise InputError(f"give a run, or several. Usage: {_USAGE}")
    from sermm.configuration.conditions import conditions
    from sermm.runs.find import find_runs

    asked = conditions(own["condition"])
    paths = list(dict.fromkeys(path for word in words for path in find_runs(word, runs_dir)))
    found = _evaluated(paths, own, overrides, asked)
    if output == "json":
        records = [{**one.as_json(), "folder": str(folder)} for one, folder in found]
        print(json.dumps(records, indent=2))
    else:
        _show(found)
    return 0


def _evaluated(
    paths: Sequence[Path],
    own: dict[str, str | None],
    overrides: Sequence[str],
    asked: "Sequence[Condition]",
) -> _Found:
    """Every run under every condition; no condition: as it is."""
    from sermm.engine.assembly.restore import restore
    from sermm.engine.evaluate import evaluate, refuse_conditions

    found: _Found = []
    for path in paths:
        restored = restore(path, own["trust"])
        refuse_conditions(restored, overrides, asked)
        found += [evaluate(restored, overrides, own["split"], one) for one in asked or (None,)]
    return found


def text(found: "Evaluation", folder: Path) -> str:
    """The record for people."""
    scores = "\n".join(
        f"  {name.split('/')[1]:<12} {'-' if value is None else percent(value):>5}"
        for name, value in found.metrics.items()
    )
    return f"{_title(found)}\n{scores}{_warning([found])}\nwritten to {folder}"


def _title(found: "Evaluation") -> str:
    return (
        f"{found.model} ({found.run}) on {found.data}, {found.protocol} fold {found.fold}, "
        f"{found.split}: {found.utterances} utterances"
    )


def _warning(found: "Sequence[Evaluation]") -> str:
    """What of it is no test; nothing if all is."""
    seen = [one.seen_in_training for one in found]
    if not any(one.utterances or one.talkers for one in seen):
        return ""
    return (
        f"\nNOT A TEST: {max(one.utterances for one in seen)} of these utterances and "
        f"{max(one.talkers for one in seen)} of their talkers were in this run's training part"
    )


def _show(found: _Found) -> None:
    """A table by condition: of one run its scores, of several their means."""
    from rich.console import Console

    from sermm.report.output.console import simple_table
    from sermm.report.tables.conditions import mean_score

    records = [one for one, _ in found]
    by_condition: dict[str, list[Evaluation]] = {}
    for one in records:
        by_condition.setdefault(str(one.condition), []).append(one)
    runs = {one.run: one for one in records}
    for one in runs.values():
        print(_title(one) + _warning([one]))
    table = simple_table("condition", "UA", "WA", "macro F1", "runs")
    for condition, some in by_condition.items():
        means = [mean_score(some, name) for name in ("ua", "wa", "f1_macro")]
        cells = ["-" if mean is None else percent(mean) for mean in means]
        table.add_row(condition, *cells, str(len(some)))
    print(f"\nBy condition, mean over {len(runs)} runs:" if len(runs) > 1 else "\nBy condition:")
    Console(highlight=False).print(table)
    print("\n".join(f"written to {folder}" for _, folder in found))
