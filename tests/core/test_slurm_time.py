import pytest

from sermm.core.slurm_time import clock, lead_of, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("1:30", 90),
        ("00:01:30", 90),
        ("8:00:00", 28800),
        ("2-12", 216000),
        ("1-02:03", 93780),
        ("1-02:03:04", 93784),
        ("UNLIMITED", None),
    ],
)
def test_times_as_slurm_takes_and_prints_them(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "8h", "1:2:3:4", "-5", "1.5"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="expected minutes"):
        seconds_of(text)


def test_a_time_is_printed_as_slurm_does():
    assert [clock(one) for one in (90, 28800, 216000)] == ["00:01:30", "08:00:00", "2-12:00:00"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("USR1@120", 120), ("SIGUSR2", 60), ("R:10@5", 5), ("USR1", 60)]
)
def test_how_long_before_the_limit_a_signal_comes(text, seconds):
    assert lead_of(text) == seconds


@pytest.mark.parametrize(("text", "said"), [("B:USR1@9", "no B:"), ("soon", "expected a signal")])
def test_what_is_no_signal_to_the_runs(text, said):
    with pytest.raises(ValueError, match=said):
        lead_of(text)
