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
        assert capsys.readouterr().err == "Extracting: 20 %, 5.0x real time, about 3 min left\n"
        clock[0] += 20
        bar.advance(100)
        bar.say("waiting for another process")
        assert capsys.readouterr().err == ""
        clock[0] += 20
        bar.advance(100)
    out, err = capsys.readouterr()
    assert out == ""
    waiting = "Extracting: waiting for another process: 40 %, 5.0x real time"
    assert err == f"{waiting}, about 2 min left\n{waiting}, took 80 s\n"


def test_short_work_says_where_it_ended_and_the_shortest_nothing(clock, capsys):
    for seconds, said in [(12, "Reading: 100 %, 4.0 s/file, took 12 s\n"), (1, "")]:
        with Progress("Reading", 3, "file") as bar:
            clock[0] += seconds
            bar.advance(3)
            bar.close()
        assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "0 s"), (89.0, "89 s"), (720.0, "12 min"), (12600.0, "3.5 h")]
)
def test_times_for_people(seconds, said):
    assert progress.duration(seconds) == said


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
