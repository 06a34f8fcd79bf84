"""Reads `predictions.csv`.

By polars, lazily: a report of thousands of runs needs a few columns of one split of each. All
values are text; who needs numbers converts them.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from sermm.core.errors import InputError
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
    # scanned, so that what is not wanted is not built
    scan = pl.scan_csv(path, infer_schema=False)
    if split is not None:
        scan = scan.filter(pl.col("split") == split)
    try:
        rows = (scan if columns is None else scan.select(columns)).collect()
    except pl.exceptions.PolarsError as error:
        raise InputError(f"cannot read {path}: {error}") from error
    needed = columns_of(classes) if columns is None else ()
    if absent := sorted(set(needed) - set(rows.columns)):
        raise InputError(f"{path} has no column {', '.join(absent)}")
    _refuse_damaged(rows, classes, path, split)
    return rows


def _refuse_damaged(
    rows: pl.DataFrame, classes: Sequence[str], path: Path, split: str | None
) -> None:
    if rows.is_empty():
        raise InputError(f"{path} has no {f'{split} row' if split else 'row'}")
    ids = rows["utterance_id"]
    if ids.n_unique() != len(rows):
        raise InputError(f"{path} names {ids.filter(ids.is_duplicated())[0]} twice")
    for name in ("label", "predicted"):
        if strange := set(rows[name].unique()) - set(classes):
            raise InputError(f"{path}: {name} holds {strange}, classes are {list(classes)}")


def as_rows(predictions: pl.DataFrame) -> list[Row]:
    """The rows as text by column, empty where there is nothing, as the file itself has them."""
    return predictions.fill_null("").to_dicts()
