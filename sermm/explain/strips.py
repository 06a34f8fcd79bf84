"""The parts of a picture over time: waveform, spectrogram, energy, and a map of attention.

Pictures are drawn at the size that a column of print has, so a font of 7 points is one there.

Strips share one axis of seconds. Positions of a stream need not fill it: phones have gaps between
them, frames end before the audio does. So whatever is drawn by position is drawn in cells
(`cells_of`), of which some are empty.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from sermm.data.audio import SAMPLE_RATE_HZ
from sermm.explain.axes import Axis
from sermm.explain.measures import top_quartile
from sermm.explain.sound import HIGH_HZ, HOP_S, Sound

_RANGE_DB = 60.0
_FLOOR = 1e-12
_MANY = 300
_STYLE: Any = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    # What is said may hold dollars and backslashes.
    "text.parse_math": False,
}


@contextmanager
def column_style() -> Iterator[None]:
    """Fonts and lines for a column of print."""
    with mpl.rc_context(_STYLE):
        yield


def draw_waveform(axes: Axes, sound: Sound) -> None:
    """Lowest and highest sample of every few milliseconds, scaled to the loudest.

    As an area, not as a line of all samples: there are more of them than dots in print.
    """
    step = max(1, len(sound.waveform) // 1200)
    n = len(sound.waveform) // step
    blocks = sound.waveform[: n * step].reshape(n, step)
    at = (np.arange(n) + 0.5) * step / SAMPLE_RATE_HZ
    axes.fill_between(at, blocks.min(1), blocks.max(1), color="black", linewidth=0.3)
    most = max(float(np.abs(sound.waveform).max(initial=0.0)), 1e-3)
    axes.set_ylim(-1.05 * most, 1.05 * most)
    axes.set_yticks([])
    axes.set_ylabel("wave")


def draw_spectrogram(axes: Axes, sound: Sound) -> None:
    """Grey levels of 60 dB below the loudest, with a line at 4 kHz.

    Args:
        axes: to draw into; in seconds and kHz.
        sound: of the utterance.
    """
    level = _decibels(sound.power)
    khz = SAMPLE_RATE_HZ / 2000
    end = HOP_S * (len(level) - 0.5)
    axes.imshow(
        level.T,
        origin="lower",
        aspect="auto",
        extent=(-HOP_S / 2, end, 0.0, khz),
        cmap="Greys",
        vmin=-_RANGE_DB,
        vmax=0,
    )
    axes.axhline(HIGH_HZ / 1000, color="black", linestyle=(0, (4, 2)), linewidth=0.7)
    axes.set_yticks([0, 4, 8])
    axes.set_ylabel("kHz")


def draw_energy(axes: Axes, sound: Sound, times: Float[np.ndarray, "n 2"]) -> None:
    """Energy of the positions in dB, the share above 4 kHz, and where that is in its top part.

    Args:
        axes: to draw into, in seconds and dB below the loudest position.
        sound: of the utterance.
        times: start and end of each position in seconds; the marks on top are the positions that
            the figure `band` is the mean of.
    """
    energy, share = sound.at(times)
    edges, positions = cells(times)
    level = at_cells(_decibels(energy), positions)
    thick = 0.8 if len(times) < _MANY else 0.4
    axes.stairs(level, edges, baseline=None, color="black", linewidth=thick)
    axes.set_ylim(-_RANGE_DB, 12)
    axes.set_yticks([-40, 0])
    axes.set_ylabel("dB")
    chosen = top_quartile(share)
    middle = times.mean(1)[chosen]
    axes.scatter(middle, np.full(len(middle), 7), marker="|", s=8, c="black", lw=0.6)
    right = axes.twinx()
    right.stairs(at_cells(np.nan_to_num(share), positions), edges, fill=True, color="0.7")
    right.set_ylim(0, 1.2)
    right.set_yticks([0, 1], ["0", "1"])
    right.annotate(
        "> 4 kHz\n(share)",
        (1, 0.45),
        xycoords="axes fraction",
        xytext=(10, 0),
        textcoords="offset points",
        va="center",
    )
    # Twin axes lie on top by default, and would cover the line with the share.
    axes.set_zorder(right.get_zorder() + 1)
    axes.set_facecolor("none")


def cells_of(axis: Axis) -> tuple[Float[np.ndarray, " e"], Int[np.ndarray, " c"]]:
    """Edges of the cells of an axis, and the position in each; -1 where there is none.

    Args:
        axis: with times, in seconds; else cells of 1 around each position's number.

    Returns:
        Rising edges `[c + 1]`, positions `[c]`.
    """
    if axis.times is None:
        return np.arange(axis.n + 1) - 0.5, np.arange(axis.n)
    return cells(axis.times)


def at_cells(
    values: Float[np.ndarray, " n"], positions: Int[np.ndarray, " c"]
) -> Float[np.ndarray, " c"]:
    """The values of the positions in the cells, NaN where there is none."""
    return np.where(positions < 0, np.nan, values[positions])


def cells(
    times: Float[np.ndarray, "n 2"],
) -> tuple[Float[np.ndarray, " e"], Int[np.ndarray, " c"]]:
    """As `cells_of`; stretches lie apart (between words) or overlap by a little (rounding).

    Args:
        times: start and end of at least one stretch in seconds, by start.
    """
    edges, positions = [float(times[0, 0])], []
    for i, (start, end) in enumerate(times):
        if start > edges[-1] + 1e-6:
            edges.append(float(start))
            positions.append(-1)
        edges.append(max(float(end), edges[-1] + 1e-3))
        positions.append(i)
    return np.array(edges), np.array(positions)


def _decibels(power: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Relative to the largest, no lower than the range shown; silence is as low as it goes."""
    most = float(power.max(initial=0.0))
    if most <= _FLOOR:
        return np.full(power.shape, -_RANGE_DB)
    level: np.ndarray = np.maximum(10 * np.log10(np.maximum(power / most, _FLOOR)), -_RANGE_DB)
    return level
