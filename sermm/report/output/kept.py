"""What a repository keeps of a report: `results.csv`, and the few pictures that its page shows.

Of a search it is `trials.csv`. A report is dozens of files, made anew at any time from the runs; a
page under version control needs a few of them, under names without a digest.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from sermm.core.errors import InputError
from sermm.core.files import whole_file
from sermm.report.output.page import csv_files
from sermm.report.output.pictures import pictures, remove_others, trajectory
from sermm.report.tables.tables import Report


def keep(report: Report, written: Path, folder: Path, names: Sequence[str]) -> None:
    """Copies out of a written report; pictures of earlier ones go.

    Args:
        report: what was written.
        written: where.
        folder: where to keep it.
        names: of the pictures, as `readable` gives them.

    Raises:
        InputError: there is no such picture.
    """
    known = readable(report)
    if unknown := [name for name in names if name not in known]:
        raise InputError(
            f"pictures: the report has no {', '.join(unknown)}; it has {', '.join(known)}"
        )
    csv = {name: name for name, records in csv_files(report).items() if records}
    files = {**csv, **{f"{name}.png": known[name] for name in names}}
    for name, file in files.items():
        with whole_file(folder / name) as temporary:
            temporary.write_bytes((written / file).read_bytes())
    remove_others(folder, files)


def readable(report: Report) -> dict[str, str]:
    """The files of the pictures by names that people can type, such as `confusion-single_gate`.

    The protocol is part of the name where there are several.

    Returns:
        File names within the report's folder.
    """
    several = len(report.tables) + len(report.searches) > 1
    found = {}
    for search in report.searches:
        if picture := trajectory(search):
            found[f"trials-{search.protocol}" if several else "trials"] = picture.file
    for table in report.tables:
        for of in pictures(table):
            label = f"{table.protocol}-{of.row.label}" if several else of.row.label
            name = re.sub(r"[^\w.=-]+", "-", label).strip("-")
            found[f"confusion-{name}"] = of.confusion.file
            if of.learning:
                found[f"curves-{name}"] = of.learning.file
    return found
