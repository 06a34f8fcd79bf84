"""The trajectory of a search as a picture, to be read in print without colour.

Markers are trials, the bar at each reaches from its lowest to its highest fold, and the line is the
best so far. Sizes are inches of a page 6.3 wide.
"""

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sermm.core.files import whole_file
from sermm.report.tables.searches import SearchTable

_TRIAL, _BEST = "#d9730d", "#123f7a"


def draw_trials(path: Path, table: SearchTable) -> None:
    """Writes a PNG: validation UA by trial in percent.

    Args:
        path: of the picture.
        table: of which `steps` is not empty.
    """
    with rc_context({"font.size": 9}):
        figure = Figure(figsize=(6.3, 3.1), layout="constrained", facecolor="white")
        axes = figure.subplots()
        _draw(axes, table)
        axes.set_xlabel("trial")
        axes.set_ylabel("validation UA, %")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        FigureCanvasAgg(figure)
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png", dpi=150)


def _draw(axes: Axes, table: SearchTable) -> None:
    folds = {row.number: [*row.by_fold.values()] for row in table.rows}
    numbers = [step.number for step in table.steps]
    values = 100 * np.array([step.value for step in table.steps])
    low, high = (
        100 * np.array([of(folds[one.number] or [one.value]) for one in table.steps])
        for of in (min, max)
    )
    axes.vlines(numbers, low, high, color=_TRIAL, alpha=0.35, linewidth=1.2, label="its folds")
    axes.plot(numbers, values, "o", color=_TRIAL, markersize=4, label="trial")
    best = [100 * step.best for step in table.steps]
    axes.step(numbers, best, where="post", color=_BEST, linewidth=1.8, label="best so far")
    if (row := table.best) is not None and row.mean is not None:
        axes.plot(
            [float(row.number or 0)],
            [100 * row.mean],
            "s",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor=_BEST,
            label="chosen",
        )
