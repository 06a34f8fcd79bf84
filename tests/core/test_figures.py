"""Numbers for people, and that nothing else rounds them."""

import ast
import re
from fractions import Fraction
from pathlib import Path

import pytest

import sermm
from sermm.core.figures import fixed, from_single, percent, rounded, settled

SERMM = Path(sermm.__file__).parent
# Rooms that print for people; others write files whose form is somebody else's.
ROOMS = ("bench", "cli", "explain", "report", "runs", "sweeps", "tracking")


def test_equal_figures_print_equal_however_they_were_had():
    mean = (0.55 + 0.58 + 0.84 + 0.94) / 4
    assert mean != 291 / 400
    assert percent(mean) == percent(291 / 400) == percent(0.72749999999999992) == "72.8"
    # 100 * 0.285 is 28.499999999999996 as a float
    assert fixed(0.285, 0, 100) == fixed(28.5, 0) == "28"
    assert fixed(0.575, 0, 100) == fixed(57.5, 0) == "58"
    assert settled(mean) == 0.7275


def test_shares_are_rounded_from_the_exact_fraction():
    for n in range(401):
        tenths = round(Fraction(1000 * n, 400))
        assert percent(n / 400) == f"{tenths // 10}.{tenths % 10}"


@pytest.mark.parametrize(
    ("value", "decimals", "scale", "text"),
    [
        (0.5, 0, 1, "0"),
        (-1.5, 0, 1, "-2"),
        (66.625, 2, 1, "66.62"),
        (-0.0004, 2, 1, "0.00"),
        (1.0, 1, 100, "100.0"),
        (94_371_712, 2, 1e-6, "94.37"),
        (3, 1, 1, "3.0"),
        (float("nan"), 1, 1, "nan"),
        (float("-inf"), 1, 1, "-inf"),
    ],
)
def test_half_goes_to_the_even_digit(value, decimals, scale, text):
    assert fixed(value, decimals, scale) == text


def test_large_numbers_keep_their_digits():
    assert f"{rounded(1_234_567_890.5, 0):,}" == "1,234,567,890"


def test_what_single_precision_made_of_a_decimal_is_that_decimal():
    assert from_single(0.32499998807907104) == 0.325
    assert from_single(1.3823908567428589) == pytest.approx(1.3823908567, abs=1e-6)


def rounds(node):
    """Whether a formatted value is a float rounded by Python."""
    if not isinstance(node, ast.FormattedValue) or node.format_spec is None:
        return False
    parts = [p.value for p in node.format_spec.values if isinstance(p, ast.Constant)]
    return bool(parts) and parts[-1][-1:] in {"f", "F", "%"}


@pytest.mark.parametrize("room", ROOMS)
def test_figures_are_formatted_in_one_place(room):
    found = [
        f"{path.relative_to(SERMM)}:{node.lineno}"
        for path in (SERMM / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if rounds(node) and ":+f}" not in ast.unparse(node)
    ]
    pages = [
        str(path.relative_to(SERMM))
        for path in (SERMM / room).rglob("*.html")
        if re.search(r"\"%\.\d", path.read_text(encoding="utf-8"))
    ]
    assert [*found, *pages] == [], "use sermm.core.figures: fixed or percent"


def test_no_room_makes_percentages_of_floats_itself():
    found = [
        f"{path.relative_to(SERMM)}:{node.lineno}"
        for path in SERMM.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if rounds(node) and re.match(r"100 \*|100\.0 \*", ast.unparse(node.value))
    ]
    assert found == []
