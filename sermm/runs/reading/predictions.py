"""Reads `predictions.csv`.

By polars, lazily: a report of thousands of runs needs a few columns of one split of each. All
values are text; who needs numbers converts them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from sermm.core.damage import damaged
from sermm.runs.layout import PREDICTIONS
from sermm.runs.predictions import Row, columns_of


def read_predictions(
    folder: Path,
    classes: Sequence[str],
    columns: Sequence[str] | None = None,
    split: str | None = None,
) -> pl.DataFrame:
    """The predictions of a run, all values as text; null where there is nothing.

    Args:
        folder: of the run.
        classes: that labels and predictions must be of.
        columns: to read, `FIRST_COLUMNS` among them; None: all.
        split: to read, "val" or "test"; None: both.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a column is missing, an utterance is there twice, or of no such class, or there
            is no row.
    """
    path = folder / PREDICTIONS
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(path, error) from error
    # scanned, so that what is not wanted is not built
    scan = pl.scan_csv(path, infer_schema=False)
    if split is not None:
        scan = scan.filter(pl.col("split") == split)
    try:
        rows = (scan if columns is None else scan.select(columns)).collect()
    except pl.exceptions.PolarsError as error:
        raise damaged(path, error) from error
    needed = columns_of(classes) if columns is None else ()
    if absent := [name for name in needed if name not in rows.columns]:
        raise damaged(path, f"it has no column {', '.join(absent)}")
    _refuse_damaged(rows, classes, path, split)
    return rows


def _refuse_damaged(
    rows: pl.DataFrame, classes: Sequence[str], path: Path, split: str | None
) -> None:
    if rows.is_empty():
        raise damaged(path, f"it has no {f'{split} row' if split else 'row'}")
    ids = rows["utterance_id"]
    if ids.n_unique() != len(rows):
        raise damaged(path, f"it names {ids.filter(ids.is_duplicated())[0]} twice")
    for name in ("label", "predicted"):
        if strange := set(rows[name].unique()) - set(classes):
            known = ", ".join(classes)
            raise damaged(path, f"{name} holds {_listed(strange)}, the classes are {known}")


def refuse_incomplete(found: int, expected: int, folder: Path) -> None:
    """A file that was cut at the end of a line looks whole: only the result tells.

    Args:
        found: test rows of the predictions.
        expected: utterances of the test part, as the result has them.
        folder: of the run.

    Raises:
        InputError: they differ.
    """
    if found != expected:
        raise damaged(
            folder / PREDICTIONS, f"it has {found} test rows, the test part {expected} utterances"
        )


def _listed(values: Iterable[str | None]) -> str:
    return ", ".join(sorted("nothing" if value is None else repr(value) for value in values))


def as_rows(predictions: pl.DataFrame) -> list[Row]:
    """The rows as text by column, empty where there is nothing, as the file itself has them."""
    return predictions.fill_null("").to_dicts()
