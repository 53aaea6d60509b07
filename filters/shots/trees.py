"""Boosted decision trees: the judge of a candidate's features.

Trees of one fixed depth as plain arrays, walked all at once. Made by `benchmarks/train_shots.py`; the weights
lie beside this module as `weights.npz`. Cost: some 20 µs a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

__all__ = ["Forest", "load_forest"]


@dataclass(frozen=True, slots=True)
class Forest:
    """T trees of depth D: node n's children are 2n+1 (feature at most threshold) and 2n+2."""

    base: float
    feature_TN: npt.NDArray[np.int16]
    threshold_TN: npt.NDArray[np.float32]
    leaf_TL: npt.NDArray[np.float32]

    def probability(self, features_F: npt.NDArray[np.float32]) -> float:
        """Return the probability, 0 to 1, that the candidate is what the trees look for."""
        trees = np.arange(len(self.leaf_TL))
        inner = self.feature_TN.shape[1]
        node = np.zeros(len(trees), np.intp)
        while node[0] < inner:
            above = features_F[self.feature_TN[trees, node]] > self.threshold_TN[trees, node]
            node = 2 * node + 1 + above
        score = self.base + float(self.leaf_TL[trees, node - inner].sum(dtype=np.float64))
        return float(1 / (1 + np.exp(-score)))


@cache
def load_forest(name: str) -> Forest:
    """Return the forest `name` ("hard" or "gradual") of the packaged weights."""
    with as_file(files("filters.shots") / "weights.npz") as path, np.load(path, allow_pickle=False) as arrays:
        return Forest(
            float(arrays[f"{name}_base"]),
            arrays[f"{name}_feature"],
            arrays[f"{name}_threshold"],
            arrays[f"{name}_leaf"],
        )
