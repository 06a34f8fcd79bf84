"""One table for every corpus and protocol of a study, and what a reader must be warned of.

`build` is what `sermm report` calls first: it reads the study and computes all numbers. What it
returns is written by `sermm.report.output`, sent to a tracker, or printed as JSON (`as_json`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sermm.core.figures import settled
from sermm.core.records import Problem
from sermm.report.tables.checks import missing_runs, stamps, warnings
from sermm.report.tables.comparisons import Asked, Comparison, Side, cell_records, comparisons
from sermm.report.tables.conditions import Conditions, under_conditions
from sermm.report.tables.learning_curves import LearningCurves, learning_curves
from sermm.report.tables.other_epochs import OtherEpochs, other_epochs
from sermm.report.tables.rows import Row, row
from sermm.report.tables.searches import SearchTable, search_json, search_tables
from sermm.report.tables.setups import encoders, features, recipe
from sermm.runs.reading.runs import Run, read_study
from sermm.runs.systems import Systems, by_table, labels
from sermm.runs.trials import read_search

# a picture takes a tenth of a second: a sweep over hundreds of systems shows its best ones
MAX_FIGURES = 24


@dataclass(frozen=True)
class Table:
    """All systems under one protocol on one corpus, best first, floors last.

    Attributes:
        stamps: what must be read before any number: leaky protocol, epoch chosen on test.
        warnings: what makes rows less comparable than they look.
        papers: the tables of papers that its systems are in, by title.
        curves: how the systems that are shown learned, by system.
        conditions: what all systems score under noise and the like, by system.
        other_epochs: of those that are scored with their last epoch, what the one that validation
            chose came to, by system.
    """

    data: str
    protocol: str
    notes: str
    headline: str
    leaky: bool
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    stamps: tuple[str, ...]
    warnings: tuple[str, ...]
    papers: tuple[Comparison, ...]
    curves: dict[str, LearningCurves]
    conditions: dict[str, Conditions]
    other_epochs: dict[str, OtherEpochs]

    @property
    def shown(self) -> tuple[Row, ...]:
        """The rows that get pictures, and tables of their own: the best ones."""
        return _shown(self.rows)


@dataclass(frozen=True)
class Report:
    """A study's tables, and what is missing from them.

    Attributes:
        searches: what searches have tried, on validation only.
        missing: the runs that should be there and are not, one sentence each.
        problems: the run folders that did not finish or cannot be read.
    """

    study: str
    tables: tuple[Table, ...]
    searches: tuple[SearchTable, ...]
    missing: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def complete(self) -> bool:
        """Whether its numbers are those of the whole study."""
        return not (self.missing or self.problems)


def build(study_dir: Path, papers: bool = False) -> Report:
    """Reads a study and computes the tables of what there is; what is missing is in the report.

    Args:
        study_dir: folder of the study.
        papers: show figures of papers beside runs on other corpora, too.

    Raises:
        InputError: no run has finished, a fold is there twice, or `search.json` is damaged.
    """
    study = read_study(study_dir)
    grouped = by_table(study.runs)
    missing = tuple(line for systems in grouped.values() for line in missing_runs(systems))
    experiments = {run.result.experiment for run in study.runs} - {None}
    asked = Asked(frozenset(map(str, experiments)), papers)
    sides = {place: _side(systems, asked) for place, systems in grouped.items()}
    tables = tuple(
        _table(side, [sides[other] for other in sides if _only_protocols_differ(place, other)])
        for place, side in sides.items()
    )
    searches = search_tables(study.trials, read_search(study_dir))
    return Report(study.name, tables, searches, missing, study.problems)


def _only_protocols_differ(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Of two places of tables: corpus, protocol, classes."""
    return one[0] == other[0] and one[1] != other[1] and one[2:] == other[2:]


def _side(systems: Systems[Run], asked: Asked) -> Side:
    """The systems of one table with their rows, best first, floors last.

    Best by the mean of the protocol's headline, or of UA where a row has no such metric.
    """
    names = labels(systems)
    rows = [row(names[system], runs) for system, runs in systems.items()]
    first = next(iter(systems.values()))[0].result
    rows.sort(key=lambda r: (r.floor, -settled(r.mean.get(first.headline, r.mean["ua"])), r.label))
    place = (first.data, first.protocol, first.protocol_notes, first.leaky)
    return Side(*place, systems, rows, asked)


def _table(side: Side, others: Sequence[Side]) -> Table:
    """The table of one side.

    Args:
        side: its systems and rows.
        others: other protocols on the same corpus and classes, for papers' tables with a twin.
    """
    systems, rows = side.systems, side.rows
    first = next(iter(systems.values()))[0].result
    # those of other systems are not read
    curves = {r.system: learning_curves(r, systems[r.system], side.shows) for r in _shown(rows)}
    conditions = {r.system: under_conditions(systems[r.system]) for r in rows}
    others_of = {r.system: other_epochs(systems[r.system]) for r in rows}
    damaged = [line for of_row in curves.values() for line in of_row.damaged]
    damaged += [line for of_row in conditions.values() for line in of_row.damaged]
    return Table(
        data=first.data,
        protocol=first.protocol,
        notes=" ".join([first.protocol_notes, *_left_out(first.balance)]),
        headline=first.headline,
        leaky=first.leaky,
        classes=tuple(first.classes),
        rows=tuple(rows),
        stamps=tuple(stamps(first.leaky, rows)),
        warnings=(*warnings(systems, rows), *damaged),
        papers=comparisons(side, others),
        curves=curves,
        conditions=conditions,
        other_epochs={system: found for system, found in others_of.items() if found is not None},
    )


def _left_out(balance: Mapping[str, Any] | None) -> list[str]:
    """The rows of the corpus that the protocol leaves out by label; nothing if there are none."""
    if not balance or not balance.get("labels"):
        return []
    labels = ", ".join(f"{name} {n}" for name, n in balance["labels"].items())
    return [f"Of {balance['rows']} rows it leaves out, by label: {labels}."]


def _shown(rows: Sequence[Row]) -> tuple[Row, ...]:
    return tuple(rows[:MAX_FIGURES])


def summary(report: Report) -> list[Mapping[str, object]]:
    """One flat record a row, as `results.csv` has it; scores are fractions.

    The first eleven columns are a promise to other programs.
    """
    return [_record(table, r) for table in report.tables for r in table.rows]


def _record(table: Table, r: Row) -> dict[str, object]:
    """A row of `results.csv`; recalls and acts come after what every row has."""
    low, high = r.interval[table.headline] if r.interval else (None, None)
    record: dict[str, object] = {
        "model": r.label,
        "data": table.data,
        "protocol": table.protocol,
        "n_runs": r.n_runs,
        "ua_mean": r.mean["ua"],
        "ua_sd": r.sd["ua"],
        "ua_pooled": r.pooled["ua"],
        "wa_mean": r.mean["wa"],
        "wa_sd": r.sd["wa"],
        "wa_pooled": r.pooled["wa"],
        "f1_macro_mean": r.mean["f1_macro"],
        "f1_weighted_mean": r.mean["f1_weighted"],
        "headline": table.headline,
        "interval_low": low,
        "interval_high": high,
        "floor": r.floor,
        "leaky": table.leaky,
        "selection": "+".join(r.selection),
        "text_source": "+".join(r.ran.text_sources),
        "system": r.system,
    }
    record |= {f"recall_{name}": value for name, value in r.recall.items()}
    for act, part in r.acts.items():
        record |= {f"ua_{act}": part.ua, f"wa_{act}": part.wa}
    record |= {
        f"{metric}_seed_sd": r.seed_sd[metric] if r.seed_sd else None for metric in ("ua", "wa")
    }
    return record | _run_with(r)


def _run_with(r: Row) -> dict[str, object]:
    """What a row is of, as the table "What was run" says it."""
    return {
        "encoders": encoders(r.ran),
        "features": features(r.ran),
        "recipe": recipe(r.ran),
        "parameters_trained": r.parameters.trainable,
        "parameters_head": r.parameters.head,
        "parameters": r.parameters.total,
    }


def as_json(report: Report) -> dict[str, object]:
    """The report as JSON: the records of `results.csv`, and what to know before reading them.

    `papers` of a table holds one record for each cell of a paper and system of ours, `costs` one
    for each system and machine that it was measured on, `conditions` one for each system and
    condition that `sermm evaluate` was given; all scores are fractions, the paper's and the
    differences too. `searches` holds what is known of trials, which have no test part.
    """
    return {
        "study": report.study,
        "rows": summary(report),
        "missing": list(report.missing),
        "problems": [asdict(problem) for problem in report.problems],
        "searches": [search_json(found) for found in report.searches],
        "tables": [
            {
                "data": table.data,
                "protocol": table.protocol,
                "stamps": list(table.stamps),
                "warnings": list(table.warnings),
                "papers": [record for found in table.papers for record in cell_records(found)],
                "conditions": _condition_records(table),
                "costs": [{"model": r.label, **asdict(c)} for r in table.rows for c in r.costs],
            }
            for table in report.tables
        ],
    }


def _condition_records(table: Table) -> list[dict[str, object]]:
    """One for each system and condition."""
    return [
        {"model": r.label, "condition": name, "ua_mean": u.mean, "ua_sd": u.sd, "n_runs": u.n_runs}
        for r in table.rows
        for name, u in table.conditions[r.system].by_name.items()
    ]
