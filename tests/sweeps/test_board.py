"""What a pool says of itself while it works."""

import pytest

from sermm.sweeps import board as board_module
from sermm.sweeps.board import Board, _epoch_and_ua
from sermm.sweeps.pool import Job


def job(folder, status=None, started_s=None, ended_s=None):
    return Job(["x"], folder / "log", "a run", folder, status, started_s, ended_s)


def test_counts_and_time_left(tmp_path):
    board = Board(total=10, n_slots=2)
    assert board.line(2) == "0 done, 0 failed, 2 running, 8 waiting"
    board.skipped(finished=True)
    board.skipped(finished=False)
    board.ended(job(tmp_path, 0, started_s=0.0, ended_s=10.0))
    board.ended(job(tmp_path, 1, started_s=0.0, ended_s=30.0))
    # Four are through; of 20 s each, four wait and two are half done, on two slots: 50 s.
    assert board.line(2) == "2 done, 2 failed, 2 running, 4 waiting; about 50 s left"
    board.ended(job(tmp_path, -9, started_s=0.0, ended_s=560.0))
    assert board.line(1).endswith("about 8 min left")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, ("", "")),
        ("epoch,train/loss,val/ua\n", ("", "")),
        ("epoch,train/loss,val/ua\n1,0.9,0.25\n2,0.8,0.5432\n", ("2", "54.3")),
        # Without a validation part there is no figure.
        ("epoch,train/loss\n7,0.9\n", ("7", "")),
    ],
)
def test_how_far_a_run_is(tmp_path, text, said):
    if text is not None:
        (tmp_path / "metrics.csv").write_text(text)
    assert _epoch_and_ua(tmp_path) == said


def test_without_a_terminal_there_is_a_line_every_minute(tmp_path, capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(board_module.time, "monotonic", lambda: now[0])
    (tmp_path / "metrics.csv").write_text("epoch,train/loss,val/ua\n7,0.9,0.5\n")
    with Board(3, 1) as board:
        for _ in range(13):
            board.show([job(tmp_path, started_s=0.0)])
            now[0] += 10
    said = capsys.readouterr()
    line = "0 done, 0 failed, 1 running, 2 waiting; a run: epoch 7, val UA 50.0\n"
    assert (said.out, said.err) == ("", 2 * line)
