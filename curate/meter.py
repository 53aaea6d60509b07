"""Processor seconds of the tasks in flight in one worker: this process and its decoder child together.

What is used while several tasks are in flight is shared out among them in equal parts. They are of one pass,
so a pass's sum is exact, and only how it divides among its units is not. Cost: two clock reads a task.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["CpuMeter", "Used"]


class Used:
    """What a task has used so far."""

    def __init__(self) -> None:
        self.cpu_s = 0.0


class CpuMeter:
    """Shares a clock that only runs while work is done among the tasks that are in flight."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """`clock_s` returns the processor time used so far; it may fall back when a child is replaced."""
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._running: list[Used] = []
        self._last_s = 0.0

    @contextmanager
    def task(self) -> Iterator[Used]:
        """Count what is used within the block; its figure is final after it."""
        used = Used()
        with self._lock:
            self._settle()
            self._running.append(used)
        try:
            yield used
        finally:
            with self._lock:
                self._settle()
                self._running.remove(used)

    def _settle(self) -> None:
        """Share out what has been used since the last call; used while nothing ran, it is nobody's."""
        now_s = self._clock_s()
        share_s = max(0.0, now_s - self._last_s) / max(1, len(self._running))
        self._last_s = now_s
        for used in self._running:
            used.cpu_s += share_s
