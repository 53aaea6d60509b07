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

__all__ = ["balanced_weights", "probabilities", "temperature"]

_RANGE: Final = (0.05, 20.0)
_GOLDEN: Final = (5**0.5 - 1) / 2


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


def probabilities(odds_NL: Floats, temperatures: npt.ArrayLike) -> Floats:
    """Return calibrated probabilities of log-odds, 0 to 1."""
    scaled = odds_NL / np.asarray(temperatures, np.float64)
    out: Floats = np.exp(-np.logaddexp(0.0, -scaled))
    return out
