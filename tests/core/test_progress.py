import sys

import pytest

from sermm.core import progress
from sermm.core.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_half_minute_where_there_is_no_terminal(clock, capsys):
    with Progress("Extracting", 1000) as bar:
        clock[0] += 20
        bar.advance(100)
        assert capsys.readouterr().err == ""
        clock[0] += 20
        bar.advance(100)
        assert capsys.readouterr().err == "Extracting: 20 %, 5.0x real time, 3 min left\n"
        clock[0] += 20
        bar.advance(100)
        bar.say("waiting for another process")
        assert capsys.readouterr().err == ""
        clock[0] += 20
        bar.advance(100)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "Extracting: waiting for another process: 40 %, 5.0x real time, 2 min left\n"


@pytest.mark.parametrize(
    ("done", "said"), [(400, "10 files/s"), (10, "4.0 s/file"), (2, "20.0 s/file")]
)
def test_the_rate_of_what_is_counted(clock, capsys, done, said):
    with Progress("Reading", 1000, "file") as bar:
        clock[0] += 40
        bar.advance(done)
    assert said in capsys.readouterr().err


def test_a_bar_on_a_terminal_only_after_two_seconds(clock, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("Reading", 3, "file") as bar:
        bar.advance()
        assert not bar._bar.live.is_started
        clock[0] += 3
        bar.advance()
        assert bar._bar.live.is_started
    assert not bar._bar.live.is_started
