"""The one W&B run of a whole study: its table, its folds, and UA with intervals.

`sermm report STUDY wandb=true` writes it beside the runs: W&B can average runs, but knows no pooled
scores and no bootstrap.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import wandb

from sermm.configuration.component import Component
from sermm.configuration.verbs import RunConfig
from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.report.tables.tables import Report, summary
from sermm.runs.layout import CONFIG
from sermm.runs.reading.runs import read_study
from sermm.runs.studies import REPORT_FOLDER, run_folders
from sermm.runs.systems import by_table, labels
from sermm.tracking import names as tracked
from sermm.tracking.wandb_record import begin, staged, unstage
from sermm.tracking.wandb_run import project_name

TRACKER = "sermm.tracking.wandb_run.Wandb"


@dataclass(frozen=True)
class Project:
    """Where W&B has, or would have, the runs of a study.

    Attributes:
        study: as the runs call it.
        project: of W&B, in characters that it takes.
        entity: None = the default of whoever is logged in.
        classes: of the first run, for recalls by class.
    """

    study: str
    project: str
    entity: str | None
    classes: tuple[str, ...]


def project_of(study_dir: Path, project: str | None, entity: str | None) -> Project:
    """The project that the runs of a study were told to, unless another one is given.

    Args:
        study_dir: whose run folders say it in their configurations.
        project: in its place; None: the runs' own, or the study's name.
        entity: in its place; None: the runs' own.

    Raises:
        InputError: the study has no run, or none whose configuration can be read.
    """
    configs = _configs(study_dir)
    config = next((one for one in configs if one.logger.target == TRACKER), configs[0])
    own = config.logger if config.logger.target == TRACKER else Component(TRACKER, {})
    return Project(
        config.study,
        project_name(project or own.given("project") or config.study),
        entity or own.given("entity"),
        tuple(config.protocol.given("classes")),
    )


def _configs(study_dir: Path) -> list[RunConfig]:
    """Of the first run that was told to W&B, and of the first of all; at least one.

    A study may have thousands, and any of them may be damaged.
    """
    paths = sorted(study_dir.glob(f"*/{CONFIG}"))
    if not paths:
        raise InputError(f"{study_dir} has no run folder, so there is nothing to show of it")
    found: list[RunConfig] = []
    errors: list[InputError] = []
    for path in paths:
        try:
            if not found or TRACKER in path.read_text(encoding="utf-8"):
                found.append(RunConfig.load(path))
        except (OSError, ValueError) as error:
            errors.append(InputError(str(error)))
        if found and found[-1].logger.target == TRACKER:
            break
    if not found:
        raise errors[0]
    return found


def tell(report: Report, study_dir: Path, where: Project) -> None:
    """Writes the W&B run of the study, or writes it anew.

    Its id follows from the study's name, so there is one for each study, however often it is told.

    Args:
        report: as the tables are printed.
        study_dir: in whose report folder W&B keeps its files.
        where: of `project_of`.
    """
    folder = study_dir / REPORT_FOLDER
    record = begin(
        folder,
        project=where.project,
        entity=where.entity,
        id=f"report-{digest(where.study)[:16]}",
        name=f"{where.study} report",
        group=where.study,
        job_type=tracked.REPORT_JOB,
        tags=sorted({tag for table in report.tables for tag in (table.data, table.protocol)}),
        config={tracked.STUDY: where.study, "missing": list(report.missing)},
    )
    status = 1
    try:
        tables = {
            tracked.STUDY_ROWS: _table(summary(report)),
            tracked.STUDY_FOLDS: _table(folds(study_dir)),
            tracked.STUDY_INTERVALS: _table(intervals(report)),
        }
        with staged(folder):
            record.log(tables, record.next_step)
        status = 0
    finally:
        record.finish(status)
    tidy(study_dir)


def tidy(study_dir: Path) -> None:
    """Removes the copies in run folders that W&B made to upload what `wandb sync` has by now."""
    for folder in run_folders(study_dir):
        records = list(folder.glob("wandb/*run-*"))
        if records and all(any(record.glob("*.synced")) for record in records):
            unstage(folder)


def report_names(study_dir: Path) -> dict[str, str]:
    """What the report calls the system of each finished run, by the run's key.

    Systems that are told apart by their tables only have the first digits of their digests as well.
    """
    tables = by_table(read_study(study_dir).runs, twins=True)
    named = [(key, name) for one in tables.values() for key, name in labels(one).items()]
    counts = Counter(name for _, name in named)
    marked = {key: f"{name} [{key[:8]}]" if counts[name] > 1 else name for key, name in named}
    return {
        run.result.key: marked[system]
        for systems in tables.values()
        for system, runs in systems.items()
        for run in runs
    }


def name_systems(study_dir: Path, where: Project) -> None:
    """Calls the systems of W&B's runs as the report does, which knows what tells them apart.

    Raises:
        InputError: W&B does not take it.
    """
    names: dict[str, str] = {}
    # Nothing has finished: nothing to compare.
    with suppress(InputError):
        names = report_names(study_dir)
    path = f"{where.entity}/{where.project}" if where.entity else where.project
    try:
        for run in wandb.Api().runs(path, filters={f"config.{tracked.STUDY}": where.study}):
            name = names.get(run.id)
            if name is not None and run.config.get(tracked.SYSTEM) != name:
                fold = run.config.get(tracked.FOLD)
                run.config |= {tracked.SYSTEM: name, tracked.SYSTEM_FOLD: f"{name}, fold {fold}"}
                run.update()
    except Exception as error:
        raise InputError(
            f"W&B did not take the names of the systems in {path}: {' '.join(str(error).split())}; "
            "upload the runs first (wandb sync), and see that entity= and project= are right"
        ) from error


def folds(study_dir: Path) -> list[dict[str, object]]:
    """UA on the test part, a row each system and a column each fold: mean over the seeds.

    Returns:
        Rows with model, data, protocol and `fold <n>`, UA as a fraction; a fold without a run has
        no column in its row.
    """
    rows: list[dict[str, object]] = []
    for systems in by_table(read_study(study_dir).runs).values():
        names = labels(systems)
        for system, runs in systems.items():
            first = runs[0].result
            row: dict[str, object] = {
                "model": names[system],
                "data": first.data,
                "protocol": first.protocol,
            }
            for fold in sorted({run.result.fold for run in runs}):
                found = (r.result.metrics.get("test/ua") for r in runs if r.result.fold == fold)
                # Runs may have been told to leave the test part alone.
                if ua := [one for one in found if one is not None]:
                    row[f"fold {fold}"] = fmean(ua)
            rows.append(row)
    return rows


def intervals(report: Report) -> list[dict[str, object]]:
    """Pooled UA of each system with its 95 % bootstrap interval, as fractions.

    Its ends are None where there is none.
    """
    rows: list[dict[str, object]] = []
    for table in report.tables:
        for r in table.rows:
            low, high = r.interval["ua"] if r.interval else (None, None)
            place = {"model": r.label, "data": table.data, "protocol": table.protocol}
            rows.append({**place, "ua": r.pooled.get("ua"), "low": low, "high": high})
    return rows


def _table(rows: Sequence[Mapping[str, object]]) -> wandb.Table:
    """A W&B table of rows that may lack columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    data = [[row.get(name) for name in names] for row in rows]
    return wandb.Table(columns=list(names), data=data, allow_mixed_types=True)
