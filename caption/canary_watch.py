"""Canaries among the clips of a run: whether the captioner still sees what it is shown."""

from __future__ import annotations

import threading

from caption.canaries import Canary, judge, make
from shards.errors import CurateError

__all__ = ["BlindError", "CanaryWatch"]

# Answers that make the share of right ones mean something; the colours and counts go round in twenty.
LEAST = 20


class BlindError(CurateError):
    """The captioner gets too many canaries wrong to be believed about clips."""


class CanaryWatch:
    """Hands out canaries, one for so many clips, and keeps the score. For several threads."""

    def __init__(self, every: int, min_right: float, seed: int) -> None:
        """`every`: clips to one canary, 0 for none; `min_right`: share below which `check` raises."""
        self._every = every
        self._min_right = min_right
        self._pool = make(seed, LEAST) if every else []
        self._lock = threading.Lock()
        self._clips = self._given = 0
        self.asked = self.right = 0

    def draw(self, clips: int) -> list[Canary]:
        """Return the canaries that are due with so many more clips."""
        if not self._every:
            return []
        with self._lock:
            self._clips += clips
            due = -(-self._clips // self._every) - self._given
            drawn = [self._pool[(self._given + n) % LEAST] for n in range(due)]
            self._given += due
        return drawn

    def note(self, canary: Canary, text: str | None) -> bool:
        """Take down an answer, and return whether it is right."""
        right = text is not None and judge(canary, text)
        with self._lock:
            self.asked += 1
            self.right += right
        return right

    def check(self) -> None:
        """Raise BlindError where enough canaries were asked about and too few answers are right."""
        with self._lock:
            asked, right = self.asked, self.right
        if asked >= LEAST and right < self._min_right * asked:
            raise BlindError(
                f"the captioner told colour and number of {right} of {asked} canaries: rendered shapes that "
                "it was shown among the clips; look at what the model is given, or allow it "
                "(`--set caption.min_canaries_right=…`)"
            )
