"""What a reader must know before believing a table: runs that lack, and rows that are unlike.

Three degrees. Missing runs stand above all tables (`missing_runs`). A stamp stands above a table:
its numbers are another thing than they seem (`stamps`). A warning says that rows can be compared
less well than they look (`warnings`).
"""

from collections import defaultdict
from collections.abc import Sequence

from sermm.core.figures import fixed
from sermm.report.tables.rows import Row, run_scores
from sermm.runs.reading.runs import Run
from sermm.runs.result import Result
from sermm.runs.systems import Systems, labels

_ROUNDING = 1e-4


def missing_runs(systems: Systems[Run]) -> list[str]:
    """A sentence for every system and seed that lacks folds.

    A mean over four of five folds is no mean over five. A seed with no run at all is not missed.
    """
    names = labels(systems)
    lines = []
    for system, runs in systems.items():
        first = runs[0].result
        for seed in sorted({run.result.seed for run in runs}):
            there = {run.result.fold for run in runs if run.result.seed == seed}
            if absent := sorted(set(range(1, first.n_folds + 1)) - there):
                folds = ", ".join(map(str, absent))
                lines.append(
                    f"{names[system]} on {first.data}, {first.protocol}, seed {seed}: no "
                    f"finished run for fold {folds} of {first.n_folds}"
                )
    return lines


def stamps(leaky: bool, rows: Sequence[Row]) -> list[str]:
    """What must stand above a table: leaky protocol, epoch chosen on test.

    Args:
        leaky: the protocol is.
        rows: of the table.
    """
    lines = []
    if leaky:
        lines.append("LEAKY PROTOCOL: the same talkers are in training and test")
    if chosen := [r.label for r in rows if "test" in r.selection]:
        lines.append(f"EPOCH CHOSEN ON THE TEST FOLD: {', '.join(chosen)}")
    return lines


def warnings(systems: Systems[Run], rows: Sequence[Row]) -> list[str]:
    """What makes the rows of a table less comparable than they look.

    Args:
        systems: the runs of the table.
        rows: its rows.
    """
    results = [run.result for runs in systems.values() for run in runs]
    lines = origin(results)
    sources = sorted({source for r in rows for source in r.ran.text_sources})
    if len(sources) > 1:
        lines.append(f"the text comes from different sources: {', '.join(sources)}")
    lines += _untested(results)
    return [*lines, *_different_splits(systems), *_unlike_seeds(rows), *_doubtful(systems)]


def origin(results: Sequence[Result]) -> list[str]:
    """Where runs come from other code than one commit."""
    lines = []
    commits = sorted({str(r.git.commit)[:10] for r in results})
    if len(commits) > 1:
        lines.append(f"runs come from {len(commits)} commits: {', '.join(commits)}")
    if dirty := sum(bool(r.git.dirty) for r in results):
        lines.append(f"{dirty} of {len(results)} runs come from code with uncommitted changes")
    return lines


def _untested(results: Sequence[Result]) -> list[str]:
    """Folds whose test part lacks a class, as the protocol allows."""
    lacking = sorted({(r.fold, ", ".join(r.untested)) for r in results if r.untested})
    folds = ", ".join(f"{fold} ({names})" for fold, names in lacking)
    return (
        [
            "UA and F1 of these folds are over the classes that they test, and so are their means; "
            f"pooled scores are over all. Folds without a class: {folds}"
        ]
        if lacking
        else []
    )


def _different_splits(systems: Systems[Run]) -> list[str]:
    """Where runs of one seed and fold do not share the split: the corpus has changed in between."""
    splits: dict[tuple[int, int], set[str]] = defaultdict(set)
    for runs in systems.values():
        for run in runs:
            splits[run.result.seed, run.result.fold].add(run.result.split_digest)
    return [
        f"seed {seed}, fold {fold}: the runs were trained on {len(digests)} different splits"
        for (seed, fold), digests in sorted(splits.items())
        if len(digests) > 1
    ]


def _unlike_seeds(rows: Sequence[Row]) -> list[str]:
    """Which rows were run with which seeds; not floors, for which one seed does."""
    by_seeds: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for r in rows:
        if not r.floor:
            by_seeds[r.seeds].append(r.label)
    kinds = [f"{list(seeds)} {', '.join(labels)}" for seeds, labels in sorted(by_seeds.items())]
    return [f"rows were run with different seeds: {'; '.join(kinds)}"] if len(kinds) > 1 else []


def _doubtful(systems: Systems[Run]) -> list[str]:
    return [line for runs in systems.values() for run in runs for line in _contradictions(run)]


def _contradictions(run: Run) -> list[str]:
    """Where a run's predictions and its result do not say the same."""
    name = f"{run.folder.name} ({run.result.model}, fold {run.result.fold})"
    lines = []
    for metric, value in run_scores(run).items():
        stated = run.result.metrics.get(f"test/{metric}")
        if stated is not None and abs(stated - value) > _ROUNDING:
            lines.append(
                f"{name}: result.json says test/{metric} {fixed(stated, 4)}, its predictions "
                f"{fixed(value, 4)}"
            )
    return lines
