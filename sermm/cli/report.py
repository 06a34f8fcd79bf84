"""sermm report STUDY [key=value ...]: tables, figures and a page from the run folders of a study.

STUDY is a name under runs_dir (default: $SERMM_RUNS, or runs) or a folder. Writes index.html,
tables.md, results.csv, confusion matrices and learning curves into STUDY/report/ and prints the
main table of each protocol. Where systems stand in a table of a paper, that table comes first, in
the paper's layout: ours, the paper's figure and the difference. Runs that are missing, failed or
unreadable stand above all tables, and their rows say how many of how many runs they are of.

Of a search (search=optuna) it shows the trials by validation UA with their spread over the folds,
the best so far, what was chosen and the command that trains it on all folds; its test part nobody
has looked at.

  sermm report demo
  sermm report demo format=json
  sermm report first wandb=true project=emotion entity=my-team
  sermm report first insert=README.md keep=results pictures=[confusion-single_gate]

Keys: allow_missing (true | false: what is there is all that is wanted), papers (true | false: the
figures of papers also beside runs on other corpora than theirs; without it only beside their own
experiments), format (table | json), runs_dir, to (write to another folder),
insert (a Markdown page that has the lines <!-- sermm report STUDY --> and <!-- end -->: the
papers' and the main tables are put between them), keep (a folder for what a repository keeps beside
such a page: results.csv or trials.csv, and no picture but those of
pictures=[confusion-MODEL,curves-MODEL,trials]), wandb (true | false: one W&B run with the tables of
the whole study, models x folds and UA with intervals, which the next report updates; project and
entity are those of the study's runs if not given). An incomplete study goes nowhere by insert, keep
or wandb unless allow_missing=true.
Exit status: 1 if the study is incomplete and allow_missing is not true, else 0.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sermm.configuration.arguments import choice, flag, parse, runs_folder
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
    "papers": "false",
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

    from sermm.runs.studies import find_study

    study_dir = find_study(words[0], runs_folder(given["runs_dir"]))
    report, folder = write_report(study_dir, given["to"], flag(given["papers"], "papers"))
    _show(report, folder, output == "json")
    if not report.complete and not allow_missing:
        return _incomplete(report, study_dir, given)
    if to_wandb and not report.tables:
        raise InputError(
            "wandb=true sends the tables of a study to W&B, and this one is a search, which has "
            "none; report the study that its command has trained"
        )
    if given["insert"] is not None:
        _insert(report, Path(given["insert"]))
    if given["keep"] is not None:
        _keep(report, folder, Path(given["keep"]), given["pictures"])
    if to_wandb:
        from sermm.tracking.study import project_of, tell

        tell(report, study_dir, project_of(study_dir, given["project"], given["entity"]))
    return 0


def write_report(study_dir: Path, to: str | None, papers: bool = False) -> tuple["Report", Path]:
    """Reads a study and writes its report into `to`, or beside its runs; returns both.

    Raises:
        InputError: there is nothing to report, or no place for it.
    """
    from sermm.report.output.page import write
    from sermm.report.tables.tables import build
    from sermm.runs.studies import REPORT_FOLDER

    folder = study_dir / REPORT_FOLDER if to is None else Path(to)
    _refuse_file(folder, "to")
    report = build(study_dir, papers)
    write(report, folder)
    return report, folder


def _incomplete(report: "Report", study_dir: Path, given: Mapping[str, str | None]) -> int:
    """Says what to do about runs that are missing; returns the exit status."""
    from sermm.core.damage import forgetting

    held = [f"{key}=" for key in ("insert", "keep") if given[key] is not None]
    held += ["wandb="] if given["wandb"] == "true" else []
    undone = f"{', '.join(held)} left undone. " if held else ""
    states = ",".join(sorted({problem.kind for problem in report.problems} - {"running"}))
    remove = f"`{forgetting(study_dir)} state={states}` removes what is not wanted; "
    print(
        f"sermm report: study {study_dir} is incomplete, see above. {undone}Run the sweep again "
        f"(finished runs are skipped); {remove if states else ''}allow_missing=true takes it as it "
        "is",
        file=sys.stderr,
    )
    return 1


def _insert(report: "Report", page: Path) -> None:
    from sermm.report.output.text import inserted

    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(
            f"insert={page}: {reason}; expected a Markdown page that has the lines "
            f"<!-- sermm report {report.study} --> and <!-- end -->"
        ) from error
    write_text(page, inserted(text, report))


def _refuse_file(folder: Path, key: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{key}={folder} is a file, expected a folder")


def _keep(report: "Report", written: Path, folder: Path, pictures: str | None) -> None:
    from sermm.report.output.kept import keep

    _refuse_file(folder, "keep")
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
