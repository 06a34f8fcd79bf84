"""Logits of several systems: their average, and the scale of each.

    y = softmax(sum_i v_i z_i / T_i),   v_i = w_i / sum_j w_j,   z_i the logits of system i

A run keeps probabilities p_i = softmax(z_i), not logits. As log p_ic = z_ic - log sum_d exp z_id,

    sum_i v_i/T_i log p_ic = sum_i v_i/T_i z_ic - (a number that is the same for every class c),

and a softmax does not change when the same number is added to all classes. So the average of the
log-probabilities gives the same y as the average of the logits: nothing is lost.

Probabilities below `SMALLEST`, 0 among them, are raised to it: log 0 would let one system forbid a
class whatever the others say.

The temperatures T_i are 1 unless they are asked for. A system that was trained until it is sure of
all it says has large logits, right or wrong, and outvotes a cautious one that is more often right.
`temperature` finds the scale at which its probabilities are what they say, by the likelihood of
labels that it was not trained on; which class is the likeliest stays as it is.

Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
"""

import numpy as np
from jaxtyping import Float, Int

# The smallest normal float32, the type that a run's softmax was computed in.
SMALLEST = float(np.finfo(np.float32).tiny)
# Beyond these a system is as sure, or as unsure, as it can be.
COLDEST, HOTTEST = 0.05, 20.0
_HALVINGS = 60


def average(
    probabilities: Float[np.ndarray, "parts n k"],
    weights: Float[np.ndarray, " parts"],
    temperatures: Float[np.ndarray, " parts"] | None = None,
) -> Float[np.ndarray, "n k"]:
    """Softmax of the weighted mean of the log-probabilities, and so of the logits.

    Args:
        probabilities: of each part, rows sum to 1; in float64, though the runs computed in
            float32, so that the average adds no error of its own.
        weights: above 0; only their ratios matter.
        temperatures: that the logits of each part are divided by; None: 1.

    Returns:
        Probabilities that sum to 1.
    """
    shares = weights / weights.sum()
    if temperatures is not None:
        shares = shares / temperatures
    return _softmax(np.tensordot(shares, _logs(probabilities), axes=1))


def temperature(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """What to divide logits by, so that the labels are as likely as they can be.

    The negative log-likelihood is convex in b = 1 / T: its slope, the mean over the utterances of
    sum_c p_c log p_c - log p_label with p = softmax(b z), only rises. So its root is found by
    halving the interval.

    Args:
        probabilities: of a system, for utterances that it was not trained on.
        labels: index of the class of each.

    Returns:
        From `COLDEST` to `HOTTEST`; the lowest where every label is the likeliest class, the
            highest where the system knows nothing.
    """
    logs = _logs(probabilities)
    at_label = float(logs[np.arange(len(labels)), labels].mean())

    def slope(b: float) -> float:
        return float((_softmax(b * logs) * logs).sum(-1).mean()) - at_label

    low, high = 1 / HOTTEST, 1 / COLDEST
    if slope(low) >= 0:
        return HOTTEST
    if slope(high) <= 0:
        return COLDEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2 / (low + high)


def _logs(probabilities: Float[np.ndarray, "*n k"]) -> Float[np.ndarray, "*n k"]:
    logs: np.ndarray = np.log(np.maximum(probabilities, SMALLEST))
    return logs


def _softmax(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    odds: np.ndarray = np.exp(logits - logits.max(-1, keepdims=True))
    odds /= odds.sum(-1, keepdims=True)
    return odds
