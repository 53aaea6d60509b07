"""What changes in two clips that are laid over each other: how well it agrees, over all and block by block.

Compared in whole sixteenths of a level or of its root: sums of their products don't depend on the order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["SIXTEENTHS", "Laid", "between_steps", "levels", "roots"]

Levels: TypeAlias = npt.NDArray[np.float32]

SIXTEENTHS: Final = 16
_FEW: Final = 3


@dataclass(frozen=True, slots=True)
class Laid:
    """What changes in two clips, step by step."""

    a: Levels
    b: Levels
    alike: float
    """correlation"""

    def everywhere(self) -> float:
        """Return the mean of the blocks' own correlations, of changes in levels.

        One that changes by less than a level, root mean square, counts by the square of it: it may be noise.
        """
        together, own_a, own_b = (
            (x * y).sum(0, dtype=np.float64)
            for x, y in ((self.a, self.b), (self.a, self.a), (self.b, self.b))
        )
        alike = together / np.sqrt(np.maximum(1.0, own_a * own_b))
        share = np.minimum(1.0, np.maximum(own_a, own_b) / (SIXTEENTHS**2 * len(self.a)))
        return float((share * alike).sum() / max(1e-6, share.sum()))


def between_steps(a_T64: Levels, b_T64: Levels, changes: Callable[[Levels], Levels]) -> Laid:
    """Return what changes, at that offset or half a step to either side, where it agrees best."""
    laid = [(a_T64, b_T64)]
    if len(a_T64) >= _FEW:
        half_a, half_b = ((x[:-1] + x[1:]) / np.float32(2) for x in (a_T64, b_T64))
        laid += [(half_a, b_T64[:-1]), (a_T64[:-1], half_b)]
    found = []
    for pair in laid:
        one, two = (changes(x) for x in pair)
        found.append(Laid(one, two, _changing_alike(one, two)))
    return max(found, key=lambda one: one.alike)


def _changing_alike(a_T64: Levels, b_T64: Levels) -> float:
    """Return the correlation of changes."""
    together, own_a, own_b = (
        float((x * y).sum(dtype=np.float64)) for x, y in ((a_T64, b_T64), (a_T64, a_T64), (b_T64, b_T64))
    )
    return together / max(1.0, float(np.sqrt(own_a * own_b)))


def levels(levels_T64: Levels) -> Levels:
    """Return what changes, in whole sixteenths of a level."""
    rest = levels_T64 - levels_T64.mean(0, keepdims=True, dtype=np.float64).astype(np.float32)
    whole: Levels = np.rint(rest * np.float32(SIXTEENTHS))
    return whole


def roots(levels_T64: Levels) -> Levels:
    """Return what changes, in whole sixteenths of signed roots of levels."""
    rest = levels_T64 - levels_T64.mean(0, keepdims=True, dtype=np.float64).astype(np.float32)
    roots: Levels = np.rint(np.sign(rest) * np.sqrt(np.abs(rest)) * np.float32(SIXTEENTHS))
    return roots
