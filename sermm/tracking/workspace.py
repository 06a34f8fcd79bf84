"""Puts a dashboard into W&B: a saved workspace and a report, created once and then updated.

Needs the package wandb-workspaces, so only `sermm dashboard` imports this. W&B gives what it saves
an address of its own; they are kept in the study's report folder, so that the next call updates
what the first one made, under the name that it has by then.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wandb
from wandb_workspaces import expr
from wandb_workspaces.reports.v2 import interface as wr
from wandb_workspaces.workspaces import interface as ws

from sermm.core.errors import InputError
from sermm.core.files import read_json, write_json
from sermm.runs.metrics import EPOCH
from sermm.tracking.dashboard import Dashboard, Panel, Section

SAVED = "dashboard.json"
CHART = "wandb/confusion_matrix/v1"
FIELDS = ("Actual", "Predicted", "nPredictions")


def workspace(board: Dashboard) -> ws.Workspace:
    """The workspace as W&B's own object; nothing is sent."""
    return ws.Workspace(
        entity=board.entity or "",
        project=board.project,
        name=board.name,
        sections=[
            ws.Section(name=section.name, panels=_panels(section), is_open=True)
            for section in board.sections
        ],
        settings=ws.WorkspaceSettings(x_axis=EPOCH),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(expr.Config(board.study_key) == board.study),
            groupby=[expr.Config(key) for key in board.group_by],
            pinned_columns=[f"summary:{name}" for name in board.columns],
        ),
    )


def report(board: Dashboard, text: str) -> wr.Report:
    """The report as W&B's own object, with `text` (Markdown) first; nothing is sent."""
    entity = board.entity or ""
    runs = wr.Runset(
        entity=entity,
        project=board.project,
        name=board.study,
        filters=expr.And(expr.Config(board.study_key) == board.study),
    )
    blocks: list[Any] = [wr.MarkdownBlock(text=text)]
    for section in board.sections:
        grid = wr.PanelGrid(runsets=[runs], panels=_panels(section))
        blocks += [wr.H1(text=section.name), grid]
    return wr.Report(entity=entity, project=board.project, title=board.name, blocks=blocks)


def save(board: Dashboard, text: str, folder: Path) -> dict[str, str]:
    """Creates workspace and report, or updates those that `folder` knows; returns their addresses.

    Args:
        board: of a study.
        text: of the report.
        folder: of the study's report, where the addresses are kept by entity and project.

    Raises:
        InputError: W&B does not take them.
    """
    known = read_json(folder / SAVED) if (folder / SAVED).is_file() else {}
    try:
        entity = board.entity or wandb.Api().default_entity
        board = dataclasses.replace(board, entity=entity)
        place = f"{entity}/{board.project}"
        old = known.get(place, {})
        urls = {
            "workspace": _kept(ws.Workspace, workspace(board), old.get("workspace")),
            "report": _kept(wr.Report, report(board, text), old.get("report")),
        }
    except Exception as error:
        raise InputError(
            f"W&B did not take the dashboard of {board.project}: {' '.join(str(error).split())}; "
            "upload the runs first (wandb sync), and see that entity= and project= are right"
        ) from error
    write_json(folder / SAVED, {**known, place: urls})
    return urls


def _kept(kind: Any, made: Any, url: str | None) -> str:
    """Saves `made` in the place of what `url` leads to, if that is still there."""
    if url is not None:
        try:
            there = kind.from_url(url)
        except Exception:
            # Somebody has removed it in W&B.
            return str(made.save().url)
        for name in ("sections", "settings", "runset_settings", "blocks"):
            if hasattr(made, name):
                setattr(there, name, getattr(made, name))
        made = there
    return str(made.save().url)


def _panels(section: Section) -> list[Any]:
    """W&B's panels of a section; workspaces and reports take the same."""
    return [_MAKERS[panel.kind](panel) for panel in section.panels]


def _curves(panel: Panel) -> Any:
    return wr.LinePlot(title=panel.title, x=EPOCH, y=list(panel.keys), **_grouped(panel))


def _bars(panel: Panel) -> Any:
    return wr.BarPlot(title=panel.title, metrics=list(panel.keys), **_grouped(panel))


def _grouped(panel: Panel) -> dict[str, Any]:
    """One line or bar for each value of the key, its mean and spread over the runs."""
    if panel.by is None:
        return {}
    by = wr.Config(panel.by)
    return {"groupby": by, "groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}


def _matrix(panel: Panel) -> Any:
    """W&B draws it from the table that a run's chart has left in its summary."""
    return wr.CustomChart(
        query={"summaryTable": {"tableKey": panel.keys[0]}},
        chart_name=CHART,
        chart_fields={name: name for name in FIELDS},
        chart_strings={"title": panel.title},
    )


def _table(panel: Panel) -> Any:
    return wr.WeavePanelSummaryTable(table_name=panel.keys[0])


_MAKERS: dict[str, Callable[[Panel], Any]] = {
    "curves": _curves,
    "bars": _bars,
    "matrix": _matrix,
    "table": _table,
}
