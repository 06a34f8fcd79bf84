"""Learning curves as pictures, to be read in print without colour.

Lines are means over the runs, the area around them reaches from the lowest to the highest run, and
markers are what papers print. Where fewer than half of the runs got to, a line is thin: it is of
those that learned longest. Sizes are inches of a page 6.3 wide.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sermm.core.files import whole_file
from sermm.report.tables.learning_curves import LOSS, PARTS, Curve, LearningCurves
from sermm.report.tables.measures import metric_text
from sermm.report.tables.rows import Row
from sermm.runs.reading.paper_curves import PaperCurve


@dataclass(frozen=True)
class _Look:
    """Told apart in grey too: by the line, the lightness and the marker."""

    colour: str
    line: str
    markers: str


_LOOKS = {"train": _Look("#d9730d", "--", "o^v<"), "val": _Look("#123f7a", "-", "sDph")}


def draw_curves(path: Path, curves: LearningCurves, data: str) -> None:
    """Writes a PNG: the score by epoch, with what papers print, and the loss beside it.

    Args:
        path: of the picture.
        curves: of which at least one is not empty.
        data: our corpus; the legend names a paper's where it is another.
    """
    drawn = [name for name in (curves.metric, LOSS) if _has(curves, name)]
    with rc_context({"font.size": 9}):
        figure = Figure(figsize=(6.3, 3.1), layout="constrained", facecolor="white")
        panels = figure.subplots(1, len(drawn), squeeze=False)[0]
        for axes, name in zip(panels, drawn, strict=True):
            _draw_panel(axes, curves, name, data)
        _legend(figure)
        FigureCanvasAgg(figure)
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png", dpi=150)


def _has(curves: LearningCurves, name: str) -> bool:
    return any(curves.curve(part, name) for part in PARTS)


def _draw_panel(axes: Axes, curves: LearningCurves, name: str, data: str) -> None:
    """One figure of both parts, with papers that print the same one; scores in percent."""
    for part in PARTS:
        _draw_curve(axes, curves.curve(part, name), part, 1 if name == LOSS else 100)
    for number, paper in enumerate(curves.papers):
        if name in (LOSS, paper.metric):
            _draw_paper(axes, paper, name, number, data)
    _mark_best(axes, curves.row)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss" if name == LOSS else f"{metric_text(name)}, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _mark_best(axes: Axes, row: Row) -> None:
    """The epoch whose weights were chosen, the mean over the runs."""
    if row.best_epoch is None:
        return
    kind = "best epoch" if row.n_runs == 1 else "mean best epoch"
    label = f"{kind} ({row.best_epoch:.4g})"
    axes.axvline(row.best_epoch, color="0.4", linestyle=":", linewidth=1.2, label=label)


def _draw_curve(axes: Axes, curve: Curve, part: str, scale: int) -> None:
    """Mean and range over the runs.

    Args:
        axes: to draw into.
        curve: may be empty.
        part: "train" or "val".
        scale: 100 for scores, which are fractions, 1 for losses.
    """
    if not curve:
        return
    look = _LOOKS[part]
    epochs = list(curve)
    mean, low, high, n = np.array(list(curve.values())).T
    few = 2 * n < n.max()
    # the thin line starts where the thick one ends
    thin = few | np.append(few[1:], False)
    axes.fill_between(epochs, scale * low, scale * high, color=look.colour, alpha=0.15, linewidth=0)
    for there, width, label in ((~few, 1.8, PARTS[part]), (thin, 0.7, None)):
        values = np.where(there, scale * mean, np.nan)
        axes.plot(epochs, values, look.line, color=look.colour, linewidth=width, label=label)


def _draw_paper(axes: Axes, paper: PaperCurve, name: str, number: int, data: str) -> None:
    """What a paper prints: markers without a line, as it prints few epochs.

    Args:
        axes: to draw into.
        paper: its figures are in percent already.
        name: the score, or the loss.
        number: of the paper, which chooses the marker.
        data: our corpus.
    """
    source = paper.source if paper.data == data else f"{paper.source} ({paper.data})"
    for part, look in _LOOKS.items():
        of = f"{part}_{LOSS}" if name == LOSS else part
        figures = {point.epoch: getattr(point, of) for point in paper.points}
        there = {epoch: value for epoch, value in figures.items() if value is not None}
        if there:
            axes.plot(
                list(there),
                list(there.values()),
                linestyle="none",
                marker=look.markers[number % len(look.markers)],
                markerfacecolor="none",
                markeredgecolor=look.colour,
                markeredgewidth=1.4,
                label=f"{source}, {PARTS[part]}",
            )


def _legend(figure: Figure) -> None:
    """One for all panels, each name once."""
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    # names of sources can be long
    ncols = 3 if max(map(len, entries)) <= 32 else 1
    legend = figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=ncols,
        frameon=False,
    )
    for text in legend.get_texts():
        # names may hold dollars
        text.set_parse_math(False)
