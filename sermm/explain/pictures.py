"""Pictures of attention and of gates, for one column of print (9 cm) and for black and white.

From the top: the sound in strips, where time runs across; the map; a colour bar. Beside the map
stands a bar for each position: how much it is looked at (relevance), or how sharply it looks.
Speech goes across, text down, so that words are read as words; with text looking at speech the map
is turned for that. What is marked black are negative words.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sermm.core.figures import fixed
from sermm.explain.axes import Axis
from sermm.explain.explanation import Explained, Gate, Map
from sermm.explain.measures import NOTICE, relevance, sharpness
from sermm.explain.sheet import Sheet, height_of, name_across, name_down, room_for_names
from sermm.explain.strips import (
    at_cells,
    cells_of,
    column_style,
    draw_energy,
    draw_spectrogram,
    draw_waveform,
)

_WAVE, _SPECTROGRAM, _ENERGY, _GATE = 0.36, 0.7, 0.46, 1.0
_GAP, _BESIDE, _BARS, _COLOUR_BAR, _TICKS, _FOOT = 0.08, 0.13, 0.44, 0.08, 0.32, 0.24
# Light to dark in one direction, so it stays in order in grey, and without red against green.
_COLOURS = "YlGnBu"
_BAR, _MARKED = "0.65", "black"
_SMALL = 0.2


def draw_attention(path: Path, explained: Explained, one: Map) -> None:
    """Writes a PNG: sound above, then who looks at what, time across wherever there is any.

    Args:
        path: of the picture.
        explained: the utterance.
        one: the map to draw.
    """
    turned = one.query.pieces is not None and one.key.pieces is None
    across, down = (one.key, one.query) if turned else (one.query, one.key)
    weights = one.weights if turned else one.weights.T
    height = height_of(down)
    ticks = _TICKS if across.pieces is None else room_for_names(across)
    with column_style():
        sheet = Sheet(
            _title(explained, f"{one.query.stream} looks at {one.key.stream}"),
            left=room_for_names(down),
            right=_BESIDE + _BARS + _GAP,
            height=_strips_height(across) + height + ticks + _COLOUR_BAR + _TICKS + _FOOT,
        )
        _draw_strips(sheet, explained, across)
        bars = sheet.beside(sheet.width + _BESIDE, _BARS, height)
        axes = sheet.part(height, ticks + _GAP)
        colour_bar = sheet.part(_COLOUR_BAR)
        marked = explained.negative_tokens(down)
        _draw_map(axes, colour_bar, weights, across, down, one.key.n)
        _label_time(axes, explained, across)
        if across.pieces is not None:
            name_across(axes, across, sheet.width)
        values = sharpness(one.weights) if turned else relevance(one.weights)
        name_down(axes, down, marked, values)
        _draw_bars(bars, down, values, marked, _reach(values))
        name = "sharpness" if turned else "relevance"
        bars.set_yticks([])
        bars.set_xlabel(name)
        sheet.foot(f"{name}: {NOTICE}")
        sheet.write(path)


def draw_gate(path: Path, explained: Explained, gate: Gate) -> None:
    """Writes a PNG: the gate over time or by token, mean over channels, with their middle 80 %.

    Args:
        path: of the picture.
        explained: the utterance.
        gate: the gate to draw.
    """
    title = _title(explained, f"gate of {gate.axis.stream}; 1 = its own states pass")
    with column_style():
        if gate.axis.pieces is None:
            sheet = Sheet(
                title, 0.5, _BESIDE + _BARS, _strips_height(gate.axis) + _GATE + _TICKS + _GAP
            )
            _draw_strips(sheet, explained, gate.axis)
            _draw_gate_over_time(sheet.part(_GATE), explained, gate)
        else:
            height = height_of(gate.axis)
            sheet = Sheet(title, room_for_names(gate.axis), 0.15, height + _TICKS + _GAP)
            axes, marked = sheet.part(height), explained.negative_tokens(gate.axis)
            _draw_bars(axes, gate.axis, gate.mean, marked)
            reach = np.stack([gate.mean - gate.lower, gate.upper - gate.mean]).clip(0)
            at = np.arange(gate.axis.n)
            axes.errorbar(gate.mean, at, xerr=reach, fmt="none", ecolor="0.3", elinewidth=0.6)
            name_down(axes, gate.axis, marked, gate.mean)
            axes.set_xlabel("gate: mean, 10–90 % of channels")
        sheet.write(path)


def _draw_gate_over_time(axes: Axes, explained: Explained, gate: Gate) -> None:
    """The mean as a line, the middle 80 % of the channels between dots."""
    edges, positions = cells_of(gate.axis)
    for values, style in ((gate.mean, "-"), (gate.lower, ":"), (gate.upper, ":")):
        known = at_cells(values, positions)
        axes.stairs(known, edges, baseline=None, color="black", linestyle=style, linewidth=0.7)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("gate: mean,\n10–90 %")
    _label_time(axes, explained, gate.axis)


def _strips_height(across: Axis) -> float:
    """What the strips take, in inches; nothing where tokens go across."""
    if across.pieces is not None:
        return 0.0
    strips = _WAVE + _SPECTROGRAM + 2 * _GAP
    return strips + (_TICKS if across.times is None else _ENERGY + _GAP)


def _draw_strips(sheet: Sheet, explained: Explained, across: Axis) -> None:
    """The sound over time; its own time axis where the positions have no times."""
    if across.pieces is not None:
        return
    sound, timed = explained.sound, across.times is not None
    wave = sheet.part(_WAVE, _GAP)
    spectrogram = sheet.part(_SPECTROGRAM, _GAP + (0.0 if timed else _TICKS))
    draw_waveform(wave, sound)
    draw_spectrogram(spectrogram, sound)
    strips = [wave, spectrogram]
    if across.times is not None:
        energy = sheet.part(_ENERGY, _GAP)
        draw_energy(energy, sound, across.times)
        strips.append(energy)
    for axes in strips:
        axes.set_xlim(0, _end(explained, across))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(labelbottom=axes is spectrogram and not timed)
    if not timed:
        spectrogram.set_xlabel("seconds")


def _label_time(axes: Axes, explained: Explained, across: Axis) -> None:
    """The axis below the map: the same seconds as the strips', or why there are none."""
    if across.times is not None:
        axes.set_xlim(0, _end(explained, across))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(f"{across.stream}, seconds")
    elif across.pieces is None:
        axes.set_xlabel(f"{across.stream}, position (its encoder gives no times)")


def _end(explained: Explained, across: Axis) -> float:
    """The last second shown: of the audio, or of a position that ends after it."""
    last = 0.0 if across.times is None else float(across.times[-1, 1])
    return max(explained.sound.seconds, last)


def _draw_map(
    axes: Axes,
    colour_bar: Axes,
    weights: Float[np.ndarray, "d a"],
    across: Axis,
    down: Axis,
    n_keys: int,
) -> None:
    """The map with its colour bar; empty cells are grey.

    Args:
        axes: to draw into.
        colour_bar: to draw into.
        weights: `[d a]`, d positions down and a across.
        across: the axis from left to right.
        down: the axis from top to bottom.
        n_keys: positions that are looked at, for the weight that says nothing, 1 / n_keys.
    """
    if not weights.size:
        axes.text(0.5, 0.5, "nothing to look at", ha="center", transform=axes.transAxes)
        colour_bar.set_visible(False)
        return
    (x, columns), (y, rows) = cells_of(across), cells_of(down)
    shown = weights[np.ix_(rows, columns)]
    shown[rows < 0] = np.nan
    shown[:, columns < 0] = np.nan
    axes.set_facecolor("0.92")
    # Attention that is alike everywhere is neither light nor dark.
    most = max(float(weights.max()), 2 / n_keys)
    mesh = axes.pcolormesh(x, y, shown, cmap=_COLOURS, vmin=0, vmax=most)
    bar = axes.figure.colorbar(mesh, cax=colour_bar, orientation="horizontal")
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    bar.set_label(f"attention; all alike would be 1/{n_keys} = {1 / n_keys:.2g}")


def _draw_bars(
    axes: Axes,
    axis: Axis,
    values: Float[np.ndarray, " n"],
    marked: frozenset[int],
    most: float = 1.0,
) -> None:
    """A bar for each position, black for what is marked."""
    axes.set_xlim(0, most)
    axes.set_xticks([0, most], ["0", f"{most:.2g}"])
    first, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    if not axis.n:
        return
    edges, positions = cells_of(axis)
    kept = positions >= 0
    thick = np.diff(edges)[kept]
    axes.barh(
        ((edges[:-1] + edges[1:]) / 2)[kept],
        np.nan_to_num(values[positions[kept]]),
        thick * (0.8 if axis.pieces else 1.0),
        color=[_MARKED if i in marked else _BAR for i in positions[kept]],
        linewidth=0,
    )
    axes.set_ylim(edges[-1], edges[0])


def _reach(values: Float[np.ndarray, " n"]) -> float:
    """1, or less where all are small: bars that cannot be seen say nothing."""
    most = float(np.nan_to_num(values).max(initial=0.0))
    return most if 0 < most < _SMALL else 1.0


def _title(explained: Explained, what: str) -> list[str]:
    """Which run looked at what, and what it made of it."""
    result, subject = explained.restored.result, explained.subject
    label = "" if subject.label is None else f"label {subject.label}, "
    share = explained.probabilities[explained.predicted]
    return [
        f"{result.model}: {what}",
        f"{subject.name}: {label}predicted {explained.predicted} ({fixed(share, 2)})",
    ]
