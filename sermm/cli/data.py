"""sermm data [key=value ...]: what a corpus holds under a protocol: counts, folds, leaks, problems.

Counts are those of the protocol after its label mapping. For each fold: the sizes of its parts, its
digest, and what train and test share: talkers, dialogues, test utterances with a transcript that is
in training too. Problems are what could not be used, and why. Exit status 2: the corpus is not what
it should be.

  sermm data data=iemocap data.root=/corpora/IEMOCAP_full_release
  sermm data data=emodb data.root=/corpora/emodb protocol=groups5
  sermm data data=manifest data.manifest=calls.csv protocol=speaker_out format=json ids=true

Keys: data and protocol (groups), format (table | json), ids (true | false), seed, cache_dir.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sermm.core.figures import fixed, percent
from sermm.report.output.console import problem_parts, simple_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def run(arguments: list[str]) -> int:
    """Prints the summary; returns 0.

    Raises:
        InputError: the corpus or the protocol cannot be used.
    """
    from sermm.configuration.verbs import DataConfig
    from sermm.engine.inputs.corpus import load
    from sermm.protocols.summary import classes_by_fold, length_s, summarise

    config = DataConfig.of(arguments)
    loaded = load(config)
    task = (loaded.reading, loaded.protocol, config.seed)
    summary = summarise(*task, ids=config.ids)
    if config.format == "json":
        print(json.dumps(summary, indent=2, ensure_ascii=False))
        return 0
    length = length_s(loaded.reading, loaded.protocol, loaded.durations)
    title = f"{config.data.name} under {loaded.protocol.name}. {loaded.protocol.notes}"
    print(render(title, summary, classes_by_fold(*task), length), end="")
    return 0


def render(
    title: str,
    summary: Mapping[str, Any],
    tested: Mapping[int, Mapping[str, int]],
    length: Mapping[str, float],
) -> str:
    """The summary as text tables.

    Args:
        title: printed first.
        summary: of `sermm.protocols.summary.summarise`.
        tested: counts by class of each fold's test part.
        length: total, shortest, median and longest duration in seconds; may be empty.
    """
    from rich.console import Console

    parts: list[RenderableType] = [title, "", f"{summary['utterances']} utterances"]
    if length:
        parts.append(
            f"{fixed(length['total'] / 3600, 2)} h; shortest {fixed(length['shortest'], 2)} s, "
            f"median {fixed(length['median'], 2)} s, longest {fixed(length['longest'], 2)} s"
        )
    names = {"labels": "class", "groups": "group", "acts": "act", "speakers": "talker"}
    parts += [_counts(names[key], summary[key]) for key in names if summary[key]]
    parts += ["Folds, and what train and test share (lines: test utterances):"]
    parts += [_folds(summary["folds"]), "Tested by class:", _tested(tested)]
    parts += problem_parts(summary["problems"])
    console = Console(markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    return capture.get()


def _counts(name: str, counts: Mapping[str, int]) -> "Table":
    table = simple_table(name, "utterances", "share")
    total = sum(counts.values())
    for key, count in counts.items():
        table.add_row(key, str(count), f"{percent(count / total)} %")
    return table


def _folds(folds: Sequence[Mapping[str, Any]]) -> "Table":
    table = simple_table("fold", "train", "val", "test", "talkers", "dialogues", "lines", "digest")
    for fold in folds:
        leaks = fold["leaks"]
        lines = f"{leaks['transcripts']} ({percent(leaks['transcripts'] / fold['test'], 0)} %)"
        sizes = [str(fold[key]) for key in ("fold", "train", "val", "test")]
        shared = [str(leaks[key]) for key in ("speakers", "dialogues")]
        table.add_row(*sizes, *shared, lines, fold["digest"][:12])
    return table


def _tested(tested: Mapping[int, Mapping[str, int]]) -> "Table":
    table = simple_table("fold", *next(iter(tested.values())))
    for number, counts in tested.items():
        table.add_row(str(number), *(str(count) for count in counts.values()))
    return table
