"""Figures of an attention map, as Table 5 of Li 2025 names them and sermm defines them.

Source: Li 2025, Table 5, which prints three figures of one utterance and defines none. A map over
(frame, token) has no frequency axis, and the mean of a row that sums to 1 is 1 / L, so they cannot
be raw weights. Legend: n frames t, L tokens l, alpha `[n L]` the weights, mean over heads.

| here | code |
| --- | --- |
| r_l = mean_t alpha_tl / max_l mean_t alpha_tl | `relevance` |
| f_t = 1 - H(alpha_t) / log L | `sharpness` |
| mean f_t where the share above 4 kHz is in its top quartile | `band` |
| mean r_l over the negative words | `lexicon` |
| correlation of the frames' energy with alpha_{t,"!"} | `cross` |
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from sermm.core.figures import fixed
from sermm.encoders.base import Piece
from sermm.explain.words import Word

NOTICE = "defined by sermm, not by the paper"
# Relative to the largest value: below it a series is constant but for rounding.
_CONSTANT = 1e-6
# Any two points lie on a line.
_FEWEST = 3
_NO_TIMES = "the positions of its speech encoder have no times"


@dataclass(frozen=True)
class Statistic:
    """One figure.

    Attributes:
        name: what it is.
        value: None where it is not defined.
        basis: what it rests on, or why there is none.
        paper: what Table 5 of Li 2025 prints under this name, of another definition.
    """

    name: str
    value: float | None
    basis: str
    paper: float


def relevance(alpha: Float[np.ndarray, "n L"]) -> Float[np.ndarray, " L"]:
    """r: how much each token is looked at in the mean, relative to the most looked at.

    Args:
        alpha: the weights, of n frames over L tokens.

    Returns:
        From 0 to 1, the largest is 1; NaN if there are no frames.
    """
    if not alpha.size:
        return np.full(alpha.shape[1], np.nan)
    mean = alpha.mean(0)
    looked_at: np.ndarray = mean / mean.max()
    return looked_at


def sharpness(alpha: Float[np.ndarray, "n L"]) -> Float[np.ndarray, " n"]:
    """f: how much each frame keeps to few tokens, 1 - entropy / log L.

    Args:
        alpha: the weights, rows sum to 1.

    Returns:
        0: all tokens alike, 1: one token only. NaN where there is but one token, or none.
    """
    length = alpha.shape[1]
    if length < 2:
        return np.full(len(alpha), np.nan)
    logs = np.log(np.where(alpha > 0, alpha, 1.0))
    sharp: np.ndarray = 1 + (alpha * logs).sum(1) / np.log(length)
    return sharp


def top_quartile(share: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """The frames whose share is at or above the upper quartile; none where it never varies.

    Args:
        share: of energy above 4 kHz; NaN where the frame is silent, which is never chosen.
    """
    known = np.isfinite(share)
    if not known.any() or _is_constant(share[known]):
        return np.zeros(len(share), dtype=bool)
    above: np.ndarray = known & (np.where(known, share, -1.0) >= np.quantile(share[known], 0.75))
    return above


def band(alpha: Float[np.ndarray, "n L"], share: Float[np.ndarray, " n"] | None) -> Statistic:
    """Mean sharpness of the frames with the largest shares of energy above 4 kHz.

    Args:
        alpha: the weights.
        share: of each frame, 0 to 1, NaN in silence; None: it is not known when the frames are.

    Returns:
        The figure, or why it is not defined for this utterance.
    """
    name, paper = "speech > 4 kHz", 0.67
    if share is None:
        return Statistic(name, None, _NO_TIMES, paper)
    chosen = top_quartile(share)
    if alpha.shape[1] < 2:
        return Statistic(
            name, None, f"sharpness needs two tokens, here are {alpha.shape[1]}", paper
        )
    if not np.isfinite(share).any():
        return Statistic(name, None, "the audio is silent", paper)
    if not chosen.any():
        return Statistic(name, None, "the share above 4 kHz is the same everywhere", paper)
    value = float(sharpness(alpha)[chosen].mean())
    least = 100 * float(share[chosen].min())
    basis = (
        f"mean f of {int(chosen.sum())} of {len(share)} positions, those with {least:.2g} % or more"
    )
    return Statistic(name, value, f"{basis} of their energy above 4 kHz", paper)


def lexicon(
    looked_at: Float[np.ndarray, " L"], words: Sequence[Word], negative: Collection[str]
) -> Statistic:
    """Mean relevance of the negative words; a word's is the mean of its tokens'.

    Args:
        looked_at: relevance of each token.
        words: of the transcript; those without tokens, cut off at the encoder's limit, do not
            count.
        negative: a list of words.
    """
    name, paper = "negative words", 0.58
    found = {w: float(looked_at[list(w.tokens)].mean()) for w in words if w.tokens}
    chosen = [(w.text, value) for w, value in found.items() if w.text in negative]
    if not chosen:
        basis = "no word is on the list of negative words" if words else "the transcript is empty"
        return Statistic(name, None, basis, paper)
    value = float(np.mean([value for _, value in chosen]))
    basis = "mean r of " + ", ".join(f"{text} {fixed(value, 2)}" for text, value in chosen)
    return Statistic(name, value, basis, paper)


def cross(
    alpha: Float[np.ndarray, "n L"],
    energy: Float[np.ndarray, " n"] | None,
    pieces: Sequence[Piece],
) -> Statistic:
    """Pearson's correlation of the frames' energy with what they give to all tokens with "!".

    Args:
        alpha: the weights.
        energy: mean power of each frame; None: it is not known when the frames are.
        pieces: what the tokens stand for.
    """
    name, paper = 'speech peaks and "!"', 0.43
    marks = [i for i, piece in enumerate(pieces) if piece.span and "!" in piece.text]
    if not marks:
        return Statistic(name, None, 'no token has a "!"', paper)
    if energy is None:
        return Statistic(name, None, _NO_TIMES, paper)
    if len(energy) < _FEWEST:
        basis = f"a correlation needs {_FEWEST} positions, here are {len(energy)}"
        return Statistic(name, None, basis, paper)
    given = alpha[:, marks].sum(1)
    for series, what in ((energy, "energy of the speech"), (given, 'attention to "!"')):
        if _is_constant(series):
            return Statistic(name, None, f"the {what} is constant", paper)
    value = float(np.corrcoef(energy, given)[0, 1])
    return Statistic(name, value, f"correlation over {len(energy)} positions", paper)


def _is_constant(series: Float[np.ndarray, " n"]) -> bool:
    """But for rounding; such a series has no quartile and no correlation worth the name."""
    return float(np.ptp(series)) <= _CONSTANT * float(np.abs(series).max())
