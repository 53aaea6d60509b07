"""What captioning does with its time and tokens: counted as it happens, taken out unit by unit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter

from caption.engine import Answer
from curate.tally import Tally

__all__ = ["Ledger"]


class Ledger:
    """Requests, tokens and seconds since they were last taken. For several threads.

    `in_flight_s` adds up the seconds of all requests: divided by `caption_s`, the mean number in flight.
    `idle_s` is the part of `caption_s` in which none was.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = Tally()
        self._callers = 0
        self._in_flight = 0
        self._last_s = clock()

    def entered(self) -> None:
        """A thread has brought clips."""
        with self._lock:
            self._advance()
            self._callers += 1

    def left(self, clips: int) -> None:
        """A thread has got its captions."""
        with self._lock:
            self._advance()
            self._callers -= 1
            self._counts["captioned_clips"] += clips

    def began(self) -> None:
        """A request goes to the engine."""
        with self._lock:
            self._advance()
            self._in_flight += 1
            self._counts["requests"] += 1

    def ended(self, answer: Answer | None) -> None:
        """A request has come back; None: without an answer."""
        with self._lock:
            self._advance()
            self._in_flight -= 1
            if answer is None:
                return
            counts = self._counts
            counts["prompt_tokens"] += answer.prompt_tokens or 0
            counts["cached_tokens"] += answer.cached_tokens or 0
            counts["generated_tokens"] += answer.tokens or 0
            counts["prepared_s"] += answer.prepared_s
            counts["queued_s"] += answer.queued_s

    def note(self, name: str, number: float = 1) -> None:
        """Count something else."""
        with self._lock:
            self._counts[name] += number

    def take(self) -> dict[str, float]:
        """Return what has come together since the last time, and begin anew."""
        with self._lock:
            self._advance()
            taken, self._counts = dict(self._counts), Tally()
        return taken

    def _advance(self) -> None:
        now_s = self._clock()
        passed_s, self._last_s = now_s - self._last_s, now_s
        if self._callers:
            self._counts["caption_s"] += passed_s
            self._counts["in_flight_s"] += passed_s * self._in_flight
            if not self._in_flight:
                self._counts["idle_s"] += passed_s
