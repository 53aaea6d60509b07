"""Temperature scaling (Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017).

One number a label, fitted on the validation split: log-odds are divided by it. It changes no ranking and no
side of 0.5. Both classes weigh the same, as in training, so the probability is that of a clip which is as
likely as not: who knows that a label is rare in a collection adds the log-odds of that.

What is fitted to is not 1 and 0 but Platt's (n + 1) / (n + 2) and its complement, for n clips of the class
("Probabilistic Outputs for Support Vector Machines", 1999): a small split that is told without a mistake does
not make the classifier certain.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.labels.metrics import Bools, Floats, log_loss

__all__ = ["balanced_weights", "probabilities", "scale_and_offset", "temperature"]

_RANGE: Final = (0.05, 20.0)
_GOLDEN: Final = (5**0.5 - 1) / 2
_STEPS: Final = 25
_HELD: Final = 2.0
"""answers' worth of belief that log-odds are right as they are"""


def balanced_weights(yes_N: Bools) -> Floats:
    """Return weights that let both classes count the same; their mean is 1. Both must be there."""
    yes = int(np.count_nonzero(yes_N))
    no = len(yes_N) - yes
    return np.where(yes_N, len(yes_N) / (2 * max(yes, 1)), len(yes_N) / (2 * max(no, 1)))


def temperature(yes_N: Bools, odds_N: Floats) -> float:
    """Return the temperature, 0.05 to 20, of the least log loss; 1 where a class is missing.

    The loss, against Platt's targets, is convex in 1/temperature: a golden-section search finds the least.
    """
    if yes_N.all() or not yes_N.any():
        return 1.0
    weight = balanced_weights(yes_N)
    count_N = np.where(yes_N, yes_N.sum(), (~yes_N).sum())
    right_N = (count_N + 1) / (count_N + 2)

    def loss(cool: float) -> float:
        odds = odds_N * cool
        believed = log_loss(yes_N, odds, weight * right_N) or 0.0
        doubted = log_loss(~yes_N, odds, weight * (1 - right_N)) or 0.0
        share = float((weight * right_N).sum() / weight.sum())
        return share * believed + (1 - share) * doubted

    low, high = 1 / _RANGE[1], 1 / _RANGE[0]
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    loss_a, loss_b = loss(a), loss(b)
    while high - low > 1e-6:
        if loss_a < loss_b:
            high, b, loss_b = b, a, loss_a
            a = high - _GOLDEN * (high - low)
            loss_a = loss(a)
        else:
            low, a, loss_a = a, b, loss_b
            b = low + _GOLDEN * (high - low)
            loss_b = loss(b)
    return 2 / (low + high)


def scale_and_offset(yes_N: Bools, odds_N: Floats) -> tuple[float, float]:
    """Return a, b of the least log loss of a * odds + b, both classes weighing the same; 1, 0 of one class.

    Newton's method on Platt's sigmoid (1999), drawn a little towards 1, 0; a is at least 0.1.
    """
    if yes_N.all() or not yes_N.any():
        return 1.0, 0.0
    weight = balanced_weights(yes_N)
    told_N2 = np.stack([odds_N, np.ones_like(odds_N)], axis=1)
    start = np.array([1.0, 0.0])
    held, found = start.copy(), start.copy()
    for _ in range(_STEPS):
        p = np.exp(-np.logaddexp(0.0, -np.clip(told_N2 @ found, -30, 30)))
        slope = told_N2.T @ (weight * (p - yes_N)) + _HELD * (found - held)
        bend = (told_N2 * (weight * p * (1 - p))[:, None]).T @ told_N2 + _HELD * np.eye(2)
        step = np.linalg.solve(bend, slope)
        found = found - step * min(1.0, 1.0 / float(np.abs(step).max() + 1e-12))
    return max(0.1, float(found[0])), float(found[1])


def probabilities(odds_NL: Floats, temperatures: npt.ArrayLike) -> Floats:
    """Return calibrated probabilities of log-odds, 0 to 1."""
    scaled = odds_NL / np.asarray(temperatures, np.float64)
    out: Floats = np.exp(-np.logaddexp(0.0, -scaled))
    return out
