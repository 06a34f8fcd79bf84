"""Numbers as people read them: what is equal prints equal.

291 right of 400 are 0.7275, and so are recalls whose mean is 0.72749999999999992 because floats
cannot hold it; printed from the floats, one is 72.8 and the other 72.7. Here a number is first the
decimal that it stands for, of 12 digits: what floats add lies beyond them, what counts say before.
That decimal is scaled and rounded once. Half goes to the even digit, as in Python, NumPy and R, so
that many rounded figures are not too high together: 72.75 is 72.8, and 72.85 is 72.8.

Everything that is printed for people goes through `fixed` or `percent`.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from math import isfinite
from typing import Final, SupportsFloat

_DIGITS: Final = Context(prec=12, rounding=ROUND_HALF_EVEN)


def settled(value: SupportsFloat) -> float:
    """The number without what floats add to it: two that should be equal are."""
    return float(_DIGITS.create_decimal(repr(float(value))))


def from_single(value: SupportsFloat) -> float:
    """The decimal that a number stands for that has been through single precision.

    0.32499998807907104 is what single precision makes of 0.325.
    """
    # verbs that are asked for help only need no numpy
    from numpy import float32

    return float(str(float32(float(value))))


def rounded(value: SupportsFloat, decimals: int, scale: float | int = 1) -> Decimal:
    """A number times `scale`, rounded to so many decimals, never -0; not finite: as it is."""
    decimal = _DIGITS.create_decimal(repr(float(value)))
    if not isfinite(value):
        return decimal
    place = Decimal(1).scaleb(-decimals)
    # adding 0 makes 0 of -0
    return (decimal * Decimal(repr(scale))).quantize(place, ROUND_HALF_EVEN) + 0


def fixed(value: SupportsFloat, decimals: int, scale: float | int = 1) -> str:
    """A number times `scale` with so many decimals."""
    return f"{rounded(value, decimals, scale):f}" if isfinite(value) else str(float(value))


def percent(fraction: SupportsFloat, decimals: int = 1) -> str:
    """A fraction in percent, without the sign."""
    return fixed(fraction, decimals, 100)
