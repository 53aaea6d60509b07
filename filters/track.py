"""What a signal keeps between frames: small values by frame index, and when the next one is due.

Memory: one entry a measured frame of the open clip; `forget` drops the rest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from curate.frames import SmallFrame

__all__ = ["Cadence", "Track", "mean", "trimmed_mean"]

T = TypeVar("T")


class Track(Generic[T]):
    """Values of spans of frames, in order; a value of a single frame spans that frame alone."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, int, T]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, first_frame: int, last_frame: int, value: T) -> None:
        """Keep the value of the frames [first_frame, last_frame]; `first_frame` never falls."""
        self._entries.append((first_frame, last_frame, value))

    def within(self, start_frame: int, end_frame: int) -> list[T]:
        """Return the values whose frames all lie in [start_frame, end_frame)."""
        return [value for first, last, value in self._entries if start_frame <= first and last < end_frame]

    def forget(self, before_frame: int) -> None:
        """Drop what begins before `before_frame`."""
        while self._entries and self._entries[0][0] < before_frame:
            self._entries.popleft()


class Cadence:
    """Says on which frames to measure: the first, then about one every `every_s`, whatever the frame rate."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._first_s: float | None = None
        self._from_s = -math.inf

    def among(self, frames: Iterable[SmallFrame]) -> list[SmallFrame]:
        """Return those of the frames that are to be measured."""
        return [frame for frame in frames if self.due(frame.time_s)]

    def due(self, time_s: float) -> bool:
        """Return whether to measure the frame at `time_s`; times rise from call to call."""
        if time_s < self._from_s:
            return False
        if self._first_s is None:
            self._first_s = time_s
        steps = math.floor((time_s - self._first_s) / self._every_s + 1e-9) + 1
        # A hundredth of a millisecond: the rounding of timestamps must not move a frame across the grid.
        self._from_s = self._first_s + steps * self._every_s - 1e-5
        return True


def mean(values: list[float]) -> float | None:
    """Return the mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def trimmed_mean(values: list[float], share: float) -> float | None:
    """Return the mean without the lowest and highest `share` (below 0.5) of the values; None of nothing."""
    drop = int(len(values) * share)
    return mean(sorted(values)[drop : len(values) - drop])
