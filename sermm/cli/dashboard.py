"""sermm dashboard STUDY [key=value ...]: a W&B workspace and report of a study.

Creates them, or updates those that it made before: the table of models x folds, UA with intervals,
curves by system (mean and spread over folds and seeds) and by each system's folds, recalls,
confusion matrices. Systems have the names that `sermm report` gives them. It shows what runs with
logger=wandb and `sermm report STUDY wandb=true` have told W&B; runs that were kept offline are
uploaded before with `wandb sync runs/STUDY/*/wandb/offline-run-*` (and
runs/STUDY/report/wandb/offline-run-*).

Without a key (`wandb login`, WANDB_API_KEY) or with WANDB_MODE=offline nothing is sent: it prints
what it would create, as JSON. Needs the package wandb-workspaces: pip install 'sermm[dashboard]'.

  sermm dashboard first
  sermm dashboard first project=emotion entity=my-team format=json

Keys: project, entity (default: where the runs were told to), format (table | json), runs_dir.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sermm.configuration.arguments import choice, parse, runs_folder
from sermm.core.errors import InputError

if TYPE_CHECKING:
    from sermm.tracking.dashboard import Dashboard
    from sermm.tracking.study import Project

USAGE = "sermm dashboard STUDY [project=NAME] [entity=NAME] [format=table|json] [runs_dir=FOLDER]"


def run(arguments: list[str]) -> int:
    """Creates or updates the dashboard of one study.

    Raises:
        InputError: wrong use, no such study, or W&B refuses.
    """
    known = {"project": None, "entity": None, "format": "table", "runs_dir": None}
    words, given = parse(arguments, known, USAGE)
    if len(words) != 1:
        raise InputError(f"expected one study, got {words or 'none'}. Usage: {USAGE}")
    output = choice(given["format"], "format", ("table", "json"))

    from sermm.runs.studies import find_study
    from sermm.tracking.dashboard import dashboard
    from sermm.tracking.study import project_of, tidy
    from sermm.tracking.wandb_record import reachable

    study_dir = find_study(words[0], runs_folder(given["runs_dir"]))
    where = project_of(study_dir, given["project"], given["entity"])
    board = dashboard(where)
    tidy(study_dir)
    urls: dict[str, str | None] = {"workspace": None, "report": None}
    online = reachable()
    if online:
        urls |= _saved(board, study_dir, where)
    else:
        print("offline, nothing was sent; this would be created:", file=sys.stderr)
    if output == "json" or not online:
        print(json.dumps({**urls, "specification": board.as_json()}, indent=2, ensure_ascii=False))
    else:
        print("\n".join(f"{name}: {url}" for name, url in urls.items()))
    return 0


def _saved(board: "Dashboard", study_dir: Path, where: "Project") -> dict[str, str]:
    if find_spec("wandb_workspaces") is None:
        raise InputError(
            "the package wandb-workspaces is missing: pip install 'sermm[dashboard]', or "
            "WANDB_MODE=offline to see what would be created"
        )
    from sermm.runs.studies import REPORT_FOLDER
    from sermm.tracking.study import name_systems
    from sermm.tracking.workspace import save

    name_systems(study_dir, where)
    folder = study_dir / REPORT_FOLDER
    tables = folder / "tables.md"
    text = tables.read_text(encoding="utf-8") if tables.is_file() else ""
    return save(board, text, folder)
