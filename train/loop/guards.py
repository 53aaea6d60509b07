"""Steps that would harm the model are skipped: a loss or gradient that is no number, a gradient far too long.

What is judged is the sum over all ranks, and the same everywhere, so all decide alike. A skipped step leaves
parameters, moments and average as they are. Many in a row mean that the run is lost, not the step.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from shards.errors import StageError

__all__ = ["Guard"]

_WINDOW: Final = 64
"""steps whose gradient norms the median is taken over"""
_LEAST: Final = 8
"""norms that must be known before one is called a spike"""


class Guard:
    """Judges steps. `ratio`: a norm so many times the median is a spike; `patience`: skips in a row."""

    def __init__(self, ratio: float, patience: int = 20) -> None:
        self._ratio, self._patience = ratio, patience
        self._norms: deque[float] = deque(maxlen=_WINDOW)
        self.skipped = 0
        """steps, in all"""
        self._in_a_row = 0

    def judge(self, loss: float, norm: float) -> str | None:
        """Return why a step is to be skipped, or None; its norm then counts for the next ones."""
        reason = None
        if not math.isfinite(loss):
            reason = f"the loss is {loss}"
        elif not math.isfinite(norm):
            reason = f"the gradient's norm is {norm}"
        elif (
            len(self._norms) >= _LEAST and 0 < self._ratio * (middle := statistics.median(self._norms)) < norm
        ):
            reason = f"the gradient's norm is {norm:.4g}, {norm / middle:.3g} times the median {middle:.4g}"
        if reason is None:
            self._norms.append(norm)
            self._in_a_row = 0
        return reason

    def skip(self) -> None:
        """Count a step as skipped."""
        self.skipped += 1
        self._in_a_row += 1

    def check(self, step: int) -> None:
        """Raise StageError where the steps up to this one were skipped too many times in a row."""
        if self._in_a_row >= self._patience:
            raise StageError(
                f"step {step}: {self._in_a_row} steps in a row were skipped; log.jsonl says why and names "
                "their clips: lower the learning rate, or go on from an older checkpoint"
            )

    def state(self) -> dict[str, Any]:
        """Return what `restore` goes on from, for JSON."""
        return {"norms": list(self._norms), "skipped": self.skipped, "in_a_row": self._in_a_row}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._norms = deque(state["norms"], maxlen=_WINDOW)
        self.skipped, self._in_a_row = state["skipped"], state["in_a_row"]
