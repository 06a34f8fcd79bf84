"""Confusion matrices as pictures.

Shares are of the rows, so that the diagonal is the recall of each class and classes of unlike size
can be compared; counts stand below, as a share of few utterances says little.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sermm.core.figures import percent
from sermm.core.files import whole_file


def draw_confusion(path: Path, table: list[list[int]], classes: tuple[str, ...]) -> None:
    """Writes a PNG: rows are labels; each cell shows its share of the row and its count.

    Args:
        path: of the picture.
        table: confusion matrix `[k k]`, rows are labels.
        classes: k names, in the order of the matrix.
    """
    counts = np.array(table)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = 1.0 + 0.62 * len(classes)
    figure = Figure(figsize=(size + 0.2, size), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _write_cells(axes, counts, share)
    FigureCanvasAgg(figure)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _write_cells(axes: Axes, counts: np.ndarray, share: np.ndarray) -> None:
    """White on dark cells, black on light ones."""
    for (i, j), count in np.ndenumerate(counts):
        colour = "white" if share[i, j] > 0.6 else "black"
        text = f"{percent(share[i, j], 0)} %\n{count}"
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=9)
