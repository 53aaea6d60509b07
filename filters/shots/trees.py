"""Boosted decision trees: the judges of candidates.

Trees of one fixed depth as plain arrays, walked all at once: some 20 µs a candidate. A judge is two forests:
one sees only the features that are cheap to have and dismisses most candidates; the other sees all, and stops
as soon as what it has not seen yet can't change its mind. Made by `benchmarks/train_shots.py`; the weights
lie beside this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt

from filters.shots.compare import Floats

__all__ = ["Forest", "Judge", "forest_of", "load_judge", "weights_digest"]


@dataclass(frozen=True, slots=True)
class Forest:
    """T trees: node n's children are 2n+1 (feature at most the threshold) and 2n+2."""

    base: float
    feature_TN: npt.NDArray[np.int16]
    threshold_TN: npt.NDArray[np.float32]
    leaf_TL: npt.NDArray[np.float32]

    def probability(self, features_F: Floats) -> float:
        """Return the probability, 0 to 1, that the candidate is what the trees look for."""
        trees = np.arange(len(self.leaf_TL))
        inner = self.feature_TN.shape[1]
        node = np.zeros(len(trees), np.intp)
        while node[0] < inner:
            above = features_F[self.feature_TN[trees, node]] > self.threshold_TN[trees, node]
            node = 2 * node + 1 + above
        return self._share(self.leaf_TL[trees, node - inner])

    def most(self, features_F: Floats) -> float:
        """Return the probability; where features are NaN, for not yet known, what it can be at most.

        To the bit: the best leaves are summed in the order of the trees, as any others are.
        """
        seen_TN = features_F[self.feature_TN]
        above, either = seen_TN > self.threshold_TN, np.isnan(seen_TN)
        best, end = self.leaf_TL, self.feature_TN.shape[1]
        while end:
            level = np.s_[:, end // 2 : end]
            left, right = best[:, ::2], best[:, 1::2]
            best = np.where(either[level], np.maximum(left, right), np.where(above[level], right, left))
            end //= 2
        return self._share(best[:, 0])

    def _share(self, leaf_T: Floats) -> float:
        score = self.base + float(leaf_T.sum(dtype=np.float64))
        return float(1 / (1 + np.exp(-score)))


@dataclass(frozen=True, slots=True)
class Judge:
    """A forest for a glance, below whose `floor` a candidate is dismissed, and one for the whole."""

    glance: Forest
    floor: float
    whole: Forest

    def look(self, stages: Iterable[Floats], least: float) -> float:
        """Return the probability by all features, of which each stage knows more.

        Where it is below `least` it may be too high: no further stage is asked for than tells so.
        """
        sure = 0.0
        for features in stages:
            sure = self.whole.most(features)
            if sure < least:
                break
        return sure


def forest_of(arrays: Mapping[str, npt.NDArray[np.generic]], name: str) -> Forest:
    """Return the forest whose arrays are named `name`_base, _feature, _threshold and _leaf."""
    return Forest(
        float(np.asarray(arrays[f"{name}_base"], np.float64)),
        np.asarray(arrays[f"{name}_feature"], np.int16),
        np.asarray(arrays[f"{name}_threshold"], np.float32),
        np.asarray(arrays[f"{name}_leaf"], np.float32),
    )


@cache
def _packaged() -> bytes:
    return (files("filters.shots") / "weights.npz").read_bytes()


def weights_digest() -> str:
    """Return the hex SHA-256 of the packaged weights."""
    return hashlib.sha256(_packaged()).hexdigest()


@cache
def load_judge(name: Literal["hard", "gradual"]) -> Judge:
    """Return a judge of the packaged weights."""
    with np.load(BytesIO(_packaged()), allow_pickle=False) as arrays:
        return Judge(
            forest_of(arrays, f"{name}_glance"),
            float(arrays[f"{name}_floor"]),
            forest_of(arrays, f"{name}_whole"),
        )
