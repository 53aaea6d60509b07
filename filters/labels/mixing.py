"""Which of two judges tells a label better, and what weight each deserves: by the log loss, classes alike.

Shape letters: N clips, L labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from filters.labels.calibration import balanced_weights, scale_and_offset
from filters.labels.metrics import log_loss

__all__ = ["share_of_trees", "told_better"]


def told_better(
    yes_NL: npt.NDArray[np.float32], one_NL: npt.NDArray[np.float32], two_NL: npt.NDArray[np.float32]
) -> frozenset[int]:
    """Return the labels that `one_NL` tells better: by the log loss, each at its best scale and offset."""
    return frozenset(
        label
        for label, (answers, one, two) in enumerate(zip(yes_NL.T, one_NL.T, two_NL.T, strict=True))
        if _loss(answers, one) < _loss(answers, two)
    )


def _loss(answers_N: npt.NDArray[np.float32], odds_N: npt.NDArray[np.float32]) -> float:
    known = ~np.isnan(answers_N)
    yes, odds = answers_N[known] == 1, odds_N[known].astype(np.float64)
    scale, offset = scale_and_offset(yes, odds)
    return _balanced_loss(yes, scale * odds + offset)


def _balanced_loss(yes_N: npt.NDArray[np.bool_], odds_N: npt.NDArray[np.float64]) -> float:
    found = log_loss(yes_N, odds_N, balanced_weights(yes_N))
    return np.inf if found is None else found


def share_of_trees(
    yes_NL: npt.NDArray[np.float32], network_NL: npt.NDArray[np.float64], trees_NL: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Return for each label the weight of the trees' log-odds, in twentieths, at which the mean is best.

    By the log loss, both classes weighing the same; all of them where a label has not both.
    """
    shares = np.ones(yes_NL.shape[1], np.float32)
    for label, (answers, network, trees) in enumerate(zip(yes_NL.T, network_NL.T, trees_NL.T, strict=True)):
        known = ~np.isnan(answers)
        yes = answers[known] == 1
        if yes.all() or not yes.any():
            continue
        mixed = [(20 - n) / 20 * network[known] + n / 20 * trees[known] for n in range(21)]
        shares[label] = np.argmin([_balanced_loss(yes, odds) for odds in mixed]) / 20
    return shares
