"""The figures of a run by epoch: one behaviour for what is not as it should be."""

import math

import pytest

from sermm.core.errors import InputError
from sermm.report.tables.learning_curves import _values
from sermm.runs.metrics import Epoch, progress, read_epochs, write_epochs
from sermm.sweeps.board import _epoch_and_ua
from sermm.tracking.watched import epochs_of


def put(folder, text):
    (folder / "metrics.csv").write_text(text)


def test_what_is_written_is_read_back(tmp_path):
    epochs = [Epoch(1, {"val/ua": 0.1}), Epoch(2, {"val/ua": 1 / 3, "train/loss": 0.5})]
    write_epochs(tmp_path, epochs)
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == "epoch,val/ua,train/loss"
    assert read_epochs(tmp_path) == epochs


def test_without_a_file_there_are_no_epochs(tmp_path):
    assert read_epochs(tmp_path) == read_epochs(tmp_path / "nowhere") == []
    assert progress(tmp_path) == (None, None)


def test_a_torn_last_line_does_not_count_for_anybody(tmp_path):
    put(tmp_path, "epoch,val/ua,val/loss\n1,0.25,2.0\n2,0.5,1.5\n3,0.6")
    assert [epoch.number for epoch in read_epochs(tmp_path)] == [1, 2]
    assert progress(tmp_path) == (2, 0.5)
    assert _epoch_and_ua(tmp_path) == ("2", "50.0")
    assert [row["epoch"] for row in epochs_of(tmp_path)] == [1, 2]
    assert _values(read_epochs(tmp_path))["val/loss"] == {1: 2.0, 2: 1.5}


def test_the_later_row_of_an_epoch_counts_as_after_a_resume(tmp_path):
    put(tmp_path, "epoch,val/ua\n1,0.25\n2,0.5\n2,0.75\n")
    assert read_epochs(tmp_path) == [Epoch(1, {"val/ua": 0.25}), Epoch(2, {"val/ua": 0.75})]
    assert progress(tmp_path) == (2, 0.75)


def test_epochs_are_in_order_without_what_they_do_not_have(tmp_path):
    put(tmp_path, "epoch,val/ua,train/loss\n2,,0.5\n1,0.25,nan\n")
    first, second = read_epochs(tmp_path)
    assert (first.number, second) == (1, Epoch(2, {"train/loss": 0.5}))
    assert math.isnan(first.figures["train/loss"])
    assert progress(tmp_path) == (2, None)


@pytest.mark.parametrize("text", ["", "val/ua\n.5\n", "epoch,val/ua\nx,.5\n", "epoch\n1,2\n"])
def test_a_damaged_file_is_named_and_those_who_look_on_do_not_mind(tmp_path, text):
    put(tmp_path, text)
    with pytest.raises(InputError, match=r"cannot read .*metrics.csv: .*; remove the file"):
        read_epochs(tmp_path)
    assert progress(tmp_path) == (None, None)
