"""A picture of parts with given sizes, stacked from the top, and names of positions along it.

Sizes are fixed in inches, and the picture grows with what is in it: matplotlib's own layouts fit
parts into a given size, in which names of 60 tokens would overlap. Where there is no room for all
names, those of the largest values are kept, as they are what a reader looks for.
"""

import textwrap
from collections.abc import Collection
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sermm.core.files import whole_file
from sermm.explain.axes import Axis

WIDTH_INCHES = 3.54
DPI = 300
TOKEN_INCHES = 0.125
_LEAST_INCHES, _MOST_INCHES, _TIME_INCHES = 0.5, 6.2, 1.6
_LINE_INCHES, _CHARACTER_INCHES = 0.125, 0.065
_LONGEST_NAME = 14
_TITLE_CHARACTERS = 60


class Sheet:
    """A figure as wide as a column of print; all sizes in inches, `top` counts from above.

    Args:
        title: its lines.
        left: free space for names.
        right: free space beside.
        height: of all parts below the title.

    Attributes:
        figure: the same for matplotlib.
        top: where the next part goes.
    """

    def __init__(self, title: list[str], left: float, right: float, height: float) -> None:
        lines = [line for long in title for line in textwrap.wrap(long, _TITLE_CHARACTERS)]
        self.top = _LINE_INCHES * len(lines) + 0.14
        self.left, self.width = left, WIDTH_INCHES - left - right
        self._height = self.top + height
        self.figure = Figure(figsize=(WIDTH_INCHES, self._height), facecolor="white")
        y = 1 - 0.04 / self._height
        self.figure.text(0.02, y, "\n".join(lines), fontsize=7, va="top", linespacing=1.25)

    def part(self, height: float, gap: float = 0.0) -> Axes:
        """The next part; the one after it starts `gap` below its end."""
        axes = self.beside(0.0, self.width, height)
        self.top += height + gap
        return axes

    def beside(self, shift: float, width: float, height: float) -> Axes:
        """A part at the height of the next one, `shift` from the left edge of the others.

        For what stands next to a part; does not move on, so it comes before `part`.
        """
        left, bottom = self.left + shift, self._height - self.top - height
        return self.figure.add_axes(
            (
                left / WIDTH_INCHES,
                bottom / self._height,
                width / WIDTH_INCHES,
                height / self._height,
            )
        )

    def foot(self, text: str) -> None:
        """A line at the lower edge."""
        self.figure.text(0.02, 0.04 / self._height, text, fontsize=7, style="italic")

    def write(self, path: Path) -> None:
        """Writes a PNG, whole or not at all."""
        FigureCanvasAgg(self.figure)
        with whole_file(path) as temporary:
            self.figure.savefig(temporary, format="png", dpi=DPI)


def height_of(down: Axis) -> float:
    """What an axis needs from its first to its last position; long transcripts get no more.

    Returns:
        Inches: of speech always the same, of text as its tokens need, so that it fits on a page.
    """
    if down.pieces is None:
        return _TIME_INCHES
    return min(_MOST_INCHES, max(_LEAST_INCHES, TOKEN_INCHES * down.n))


def room_for_names(axis: Axis) -> float:
    """What the names of the positions need beside the axis, in inches."""
    longest = max((len(short(piece.text)) for piece in axis.pieces or ()), default=0)
    label = 0.16 if axis.pieces and _step(axis.n, height_of(axis)) > 1 else 0.0
    return max(0.46, 0.12 + _CHARACTER_INCHES * longest + label)


def name_down(
    axes: Axes, axis: Axis, marked: Collection[int], values: Float[np.ndarray, " n"]
) -> None:
    """Names the positions from the top down; of many tokens those with the largest values.

    Args:
        axes: to name.
        axis: its positions.
        marked: tokens to print bold.
        values: by position, which decide whose name is printed; NaN counts as 0.
    """
    if not axis.n:
        axes.set_yticks([])
        return
    if axis.pieces is None:
        unit = "position" if axis.times is None else "seconds"
        first, last = (
            (-0.5, axis.n - 0.5)
            if axis.times is None
            else (float(axis.times[0, 0]), float(axis.times[-1, 1]))
        )
        axes.set_ylim(last, first)
        axes.set_ylabel(f"{axis.stream}, {unit}")
        return
    step = _step(axis.n, height_of(axis))
    named = _apart(values, step)
    axes.set_yticks(named, [short(axis.pieces[i].text) for i in named])
    for i, label in zip(named, axes.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if i in marked else "normal")
    axes.set_ylim(axis.n - 0.5, -0.5)
    if step > 1:
        axes.set_ylabel(f"{axis.n} tokens, {len(named)} of them named")


def name_across(axes: Axes, axis: Axis, width: float) -> None:
    """Names the tokens from left to right, upright; of many every second, third, ...

    Args:
        axes: to name.
        axis: of text.
        width: of the axes, in inches.
    """
    step = _step(axis.n, width)
    names = [short(piece.text) for piece in axis.pieces or ()]
    axes.set_xticks(np.arange(0, axis.n, step), names[::step], rotation=90)


def short(name: str) -> str:
    """The name, cut where it is long."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _apart(values: Float[np.ndarray, " n"], step: int) -> list[int]:
    """Positions from the largest value to the smallest, each `step` or more from those before.

    Returns:
        Rising; the largest value is always among them.
    """
    chosen: list[int] = []
    for i in np.argsort(-np.nan_to_num(values), kind="stable").tolist():
        if all(abs(i - other) >= step for other in chosen):
            chosen.append(i)
    return sorted(chosen)


def _step(n: int, inches: float) -> int:
    """How many positions one name takes the room of."""
    # A hair less, so that what just fits is not thinned.
    return max(1, int(np.ceil(n * TOKEN_INCHES / inches - 1e-6)))
