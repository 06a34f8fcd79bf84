"""The one reader of predictions."""

import pytest

from sermm.core.errors import InputError
from sermm.runs.predictions import columns_of, write_rows
from sermm.runs.reading.predictions import as_rows, read_predictions

CLASSES = ("ang", "sad")


def row(i, split="test", label="ang", **changes):
    made = dict.fromkeys(columns_of(CLASSES), "")
    return {
        **made,
        "utterance_id": i,
        "split": split,
        "label": label,
        "predicted": "sad",
        **changes,
    }


def test_rows_come_back_as_they_were_written(tmp_path):
    rows = [row("b", p_ang="0.1000000000000000055"), row("a", "val", talker="Zoë")]
    write_rows(tmp_path, rows)
    assert as_rows(read_predictions(tmp_path, CLASSES)) == rows


def test_a_split_and_columns_alone(tmp_path):
    write_rows(tmp_path, [row("a"), row("b", "val")])
    found = read_predictions(tmp_path, CLASSES, ("utterance_id", "label", "predicted"), "test")
    assert found.rows() == [("a", "ang", "sad")]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row("a"), row("a")], "it names a twice"),
        ([row("a", label="hap")], "label holds 'hap', the classes are ang, sad"),
        ([row("a", predicted="")], "predicted holds nothing"),
        ([{"utterance_id": "a", "split": "test"}], "no column label, predicted"),
    ],
)
def test_what_is_damaged_is_named(tmp_path, rows, says):
    write_rows(tmp_path, rows)
    with pytest.raises(InputError, match=says):
        read_predictions(tmp_path, CLASSES)
    with pytest.raises(InputError, match=r"has no (val row|column)"):
        read_predictions(tmp_path, CLASSES, split="val")


def test_a_row_that_is_too_long_is_refused(tmp_path):
    write_rows(tmp_path, [row("a")])
    path = tmp_path / "predictions.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + ",x\n")
    with pytest.raises(InputError, match=r"predictions.csv is damaged: "):
        read_predictions(tmp_path, CLASSES)
