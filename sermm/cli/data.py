"""sermm data [key=value ...]: what a corpus holds under a protocol: counts, folds, leaks, problems.

First a balance: every row that was read takes part, or is left out by the protocol (by label, by
act, as not aligned) or for a problem. Further counts are those of the protocol after its label
mapping. For each fold: the sizes of its parts, its digest, and what train and test share: talkers,
dialogues, test utterances with a transcript that is in training too. Problems are what could not be
used, and why. Where the protocol does not fit, the protocols that do are named. Exit status 2: the
corpus is not what it should be.

  sermm data data=iemocap data.root=/corpora/IEMOCAP_full_release
  sermm data data=emodb data.root=/corpora/emodb protocol=groups5
  sermm data data=manifest data.manifest=calls.csv protocol=speaker_out format=json ids=true

Own classes, which are labels of the same names, or of others:

  sermm data ... 'protocol.classes=[calm,stressed]'
  sermm data ... 'protocol.classes=[calm,stressed]' 'protocol.labels={calm: calm, angry: stressed}'

Another rule of validation or of folds, by its name and with its own keys, and folds that need not
test every class:

  sermm data ... protocol/validation_rule=random_share protocol.validation_rule.share=0.2
  sermm data ... protocol/fold_rule=talker_groups protocol.fold_rule.n=3
  sermm data ... protocol.absent_classes=allow

Keys: data and protocol (groups), format (table | json), ids (true | false), seed, cache_dir.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
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
    from sermm.engine.inputs.corpus import folds_of, load
    from sermm.protocols.summary import absent, classes_by_fold, length_s, summarise

    config = DataConfig.of(arguments)
    loaded = load(config)
    folds = folds_of(config, loaded, config.seed)
    corpus = (loaded.reading, loaded.protocol)
    summary = summarise(*corpus, folds, loaded.balance, ids=config.ids)
    if config.format == "json":
        print(json.dumps(summary, indent=2, ensure_ascii=False))
        return 0
    title = f"{config.data.name} under {loaded.protocol.name}. {loaded.protocol.notes}"
    lacking = list(absent(*corpus, folds))
    length = length_s(*corpus, loaded.durations)
    tested = classes_by_fold(*corpus, folds)
    print(render(title, summary, tested, length, loaded.balance.lines(), lacking), end="")
    return 0


def render(
    title: str,
    summary: Mapping[str, Any],
    tested: Mapping[int, Mapping[str, int]],
    length: Mapping[str, float],
    left_out: Mapping[str, int],
    lacking: Sequence[tuple[int, str, Sequence[str]]] = (),
) -> str:
    """The summary as text tables.

    Args:
        title: printed first.
        summary: of `sermm.protocols.summary.summarise`.
        tested: counts by class of each fold's test part.
        length: total, shortest, median and longest duration in seconds; may be empty.
        left_out: rows that do not take part, by who has left them out.
        lacking: fold, part, and the classes that the part has no utterance of.
    """
    from rich.console import Console

    parts: list[RenderableType] = [title, "", _balance(summary["balance"], left_out)]
    parts.append(f"{summary['utterances']} utterances")
    if length:
        parts.append(
            f"{fixed(length['total'] / 3600, 2)} h; shortest {fixed(length['shortest'], 2)} s, "
            f"median {fixed(length['median'], 2)} s, longest {fixed(length['longest'], 2)} s"
        )
    names = {"labels": "class", "groups": "group", "acts": "act"}
    parts += [_counts(names[key], summary[key]) for key in names if summary[key]]
    parts += [_classes("talker", summary["speakers_by_class"], summary["speakers"])]
    parts += ["Folds, and what train and test share (lines: test utterances):"]
    parts += [_folds(summary["folds"]), "Tested by class:", _classes("fold", tested)]
    parts += _lacking(lacking)
    parts += problem_parts(summary["problems"])
    console = Console(markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    return capture.get()


def _balance(balance: Mapping[str, Any], left_out: Mapping[str, int]) -> "Table":
    table = simple_table("rows", str(balance["rows"]))
    table.add_row("take part", str(balance["utterances"]))
    for name, count in left_out.items():
        table.add_row(name, str(count))
    return table


def _lacking(lacking: Sequence[tuple[int, str, Sequence[str]]]) -> Iterator[str]:
    for name, says in (("val", "validate"), ("test", "test")):
        folds = [f"{fold} ({', '.join(absent)})" for fold, part, absent in lacking if part == name]
        if folds:
            yield f"Folds that {says} without a class, UA over the others: {', '.join(folds)}"


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


def _classes(
    name: str, counts: Mapping[Any, Mapping[str, int]], totals: Mapping[str, int] | None = None
) -> "Table":
    """Utterances by class, a row each; nothing is a row of its own."""
    classes = next(iter(counts.values()), {})
    table = simple_table(name, *classes, *(["utterances"] if totals else []))
    for key, row in counts.items():
        table.add_row(str(key), *map(str, row.values()), *([str(totals[key])] if totals else []))
    return table
