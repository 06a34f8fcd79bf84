"""sermm report STUDY [key=value ...]: tables, figures and a page from the run folders of a study.

STUDY is a name under runs_dir (default: $SERMM_RUNS, or runs) or a folder. Writes index.html,
tables.md, results.csv, confusion matrices and learning curves into STUDY/report/ and prints the
main table of each protocol. Where systems stand in a table of a paper, that table comes first, in
the paper's layout: ours, the paper's figure and the difference. A study with missing, failed or
unreadable runs is refused unless allow_missing=true; the page then says what is missing.

  sermm report demo
  sermm report demo format=json
  sermm report first wandb=true project=emotion entity=my-team
  sermm report first insert=README.md keep=results pictures=[confusion-single_gate]

Keys: allow_missing (true | false), format (table | json), runs_dir, to (write to another folder),
insert (a Markdown page that has the lines <!-- sermm report STUDY --> and <!-- end -->: the
papers' and the main tables are put between them), keep (a folder for what a repository keeps beside
such a page: results.csv, and no picture but those of pictures=[confusion-MODEL,curves-MODEL]),
wandb (true | false: one W&B run with the tables of the whole study, models x folds and UA with
intervals, which the next report updates; project and entity are those of the study's runs if not
given).
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sermm.cli.arguments import choice, flag, parse, runs_folder
from sermm.core.errors import InputError
from sermm.core.files import write_text

if TYPE_CHECKING:
    from sermm.report.tables.tables import Report

USAGE = "sermm report STUDY [allow_missing=true] [format=table|json] [wandb=true] [runs_dir=FOLDER]"
_KNOWN: dict[str, str | None] = {
    "allow_missing": "false",
    "format": "table",
    "to": None,
    "insert": None,
    "wandb": "false",
    "project": None,
    "entity": None,
    "runs_dir": None,
    "keep": None,
    "pictures": None,
}


def run(arguments: list[str]) -> int:
    """Reports on one study.

    Raises:
        InputError: wrong use, no such study, or runs are missing.
    """
    words, given = parse(arguments, _KNOWN, USAGE)
    if len(words) != 1:
        raise InputError(f"expected one study, got {words or 'none'}. Usage: {USAGE}")
    output = choice(given["format"], "format", ("table", "json"))
    allow_missing = flag(given["allow_missing"], "allow_missing")
    to_wandb = flag(given["wandb"], "wandb")
    if given["pictures"] is not None and given["keep"] is None:
        raise InputError("pictures= says what keep=FOLDER keeps beside results.csv: give both")

    from sermm.report.output.text import inserted
    from sermm.runs.studies import find_study

    study_dir = find_study(words[0], runs_folder(given["runs_dir"]))
    report, folder = write_report(study_dir, given["to"], allow_missing)
    if given["insert"] is not None:
        page = Path(given["insert"])
        write_text(page, inserted(page.read_text(encoding="utf-8"), report))
    if given["keep"] is not None:
        _keep(report, folder, Path(given["keep"]), given["pictures"])
    _show(report, folder, output == "json")
    if to_wandb:
        from sermm.tracking.study import project_of, tell

        tell(report, study_dir, project_of(study_dir, given["project"], given["entity"]))
    return 0


def write_report(study_dir: Path, to: str | None, allow_missing: bool) -> tuple["Report", Path]:
    """Reads a study and writes its report into `to`, or beside its runs.

    Raises:
        InputError: runs are missing.
    """
    from sermm.report.output.page import write
    from sermm.report.tables.tables import build
    from sermm.runs.studies import REPORT_FOLDER

    report = build(study_dir, allow_missing)
    folder = study_dir / REPORT_FOLDER if to is None else Path(to)
    write(report, folder)
    return report, folder


def _keep(report: "Report", written: Path, folder: Path, pictures: str | None) -> None:
    from sermm.report.output.kept import keep

    names = (pictures or "").strip("[] ").split(",")
    keep(report, written, folder, [name.strip() for name in names if name.strip()])


def _show(report: "Report", folder: Path, in_json: bool) -> None:
    from sermm.report.output.text import table_text
    from sermm.report.tables.tables import as_json

    if in_json:
        print(json.dumps(as_json(report), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(table_text(report), end="")
    print(f"page: {folder / 'index.html'}", file=sys.stderr if in_json else sys.stdout)
