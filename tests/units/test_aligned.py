import math

from sermm.core.records import Span
from sermm.units.aligned import mended


def units(*times):
    return [Span(str(n), start, end, "word", "mfa") for n, (start, end) in enumerate(times)]


def kinds(problems):
    return [problem.kind for problem in problems]


def test_good_spans_are_left_alone():
    spans = units((0.0, 0.4), (0.4, 0.7), (0.9, 1.0))
    assert mended(spans, "u", 1.0) == (tuple(spans), ())


def test_the_last_frame_may_reach_beyond_the_audio():
    found, problems = mended(units((0.5, 1.01)), "u", 0.995)
    assert (found[0].end_s, problems) == (0.995, ())


def test_beyond_the_audio_is_cut_and_told():
    found, problems = mended(units((-0.2, 0.3), (0.5, 1.4), (1.2, 1.3)), "u", 1.0)
    assert [(s.start_s, s.end_s) for s in found] == [(0.0, 0.3), (0.5, 1.0)]
    assert [(p.kind, p.what) for p in problems] == [
        ("unit_outside_audio", "word, source mfa: 1 units that lie outside the audio: left out"),
        (
            "unit_beyond_audio",
            "word, source mfa: 2 units that reach beyond the audio: cut at its end",
        ),
    ]
    assert {p.where for p in problems} == {"u"}


def test_no_length_backwards_or_no_number():
    times = [(0.1, 0.1), (0.3, 0.2), (math.nan, 0.5), (0.2, math.nan), (0.4, math.inf), (0.5, 0.6)]
    found, problems = mended(units(*times), "u", 1.0)
    assert [s.symbol for s in found] == ["5"]
    assert kinds(problems) == ["unit_without_length"]
    assert "5 units" in problems[0].what


def test_unsorted_are_sorted_and_overlapping_kept():
    found, problems = mended(units((0.5, 0.9), (0.1, 0.3), (0.2, 0.5)), "u", 1.0)
    assert [s.symbol for s in found] == ["1", "2", "0"]
    assert kinds(problems) == ["units_unsorted", "units_overlap"]


def test_nothing():
    assert mended((), "u", 1.0) == ((), ())
