"""Which clips a block of steps admits, and why others are dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from train.plan.manifest import Manifest
from train.plan.thresholds import bound_at, column_key, fails, resolved
from train.plan.views import Allowed
from train.recipe import Stage

__all__ = ["KEPT", "Admission"]

Ints = npt.NDArray[np.int64]

KEPT = 0
"""code of a clip that is admitted"""


class Admission:
    """The rules of one stage over a manifest.

    Args:
        manifest: whose clips are tested.
        number: of the stage among the recipe's.
        stage: its quantiles become numbers here.
        captioned: a clip without a caption that may be drawn is dropped.
    """

    def __init__(self, manifest: Manifest, number: int, stage: Stage, *, captioned: bool) -> None:
        self._manifest = manifest
        self._admitted_N = manifest.admitted[number]
        self._captioned = captioned
        self.stage = resolved(stage, manifest.columns, self._admitted_N & ~manifest.held_out_N)
        words = {"min": "too low", "max": "too high"}
        bounds = [(one.column, words[one.bound]) for one in stage.thresholds]
        thresholds = [text for column, fault in bounds for text in (f"{column} {fault}", f"{column} missing")]
        self.reasons = ["kept", "condition", "no caption", "frame rate", "too short", *thresholds]
        """what a code means: the first rule that a clip fails"""

    @property
    def last_rule(self) -> int:
        """The last code of a rule that is no threshold's: the condition, captions, rates and lengths."""
        return 4

    def bounds(self, step: int) -> list[float]:
        """Return the thresholds' bounds at a step of the stage."""
        return [bound_at(threshold, step) for threshold in self.stage.thresholds]

    def codes(self, rows_N: Ints, may: Allowed, bounds: Sequence[float]) -> Ints:
        """Return the reason of each row, as its place in `reasons`; `may` is what the rows allow."""
        manifest = self._manifest
        rules = [~self._admitted_N[rows_N], (manifest.captions_N[rows_N] == 0) & self._captioned]
        rules += [may.slow_N, may.short_N]
        for threshold, bound in zip(self.stage.thresholds, bounds, strict=True):
            rules += fails(threshold, bound, manifest.columns[column_key(threshold)][rows_N])
        failed_RN = np.stack(rules)
        return np.where(failed_RN.any(axis=0), failed_RN.argmax(axis=0) + 1, KEPT)
