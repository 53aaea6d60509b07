"""When an endpoint is asked again, and after how long.

Three kinds of trouble are told apart. A *fault* (500, 429, a dropped connection, an answer that cannot be
used) is tried again a few times, with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015).
An *outage* (connection refused, 502 to 504) is the endpoint's and not the request's: however often it is met,
it costs a request one attempt, and the run ends when it lasts longer than the patience. What the endpoint
refuses for good is neither, and is not tried again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Literal

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from caption.openai_options import OpenAIOptions
from shards.errors import ServiceError

__all__ = ["Fault", "Pace", "Reason", "retry_after_s"]

Reason = Literal[
    "dropped", "endless", "malformed", "no_id", "outage", "rate_limit", "server_error", "timeout", "wrong_id"
]


class Fault(Exception):  # noqa: N818  # of the endpoint; an error only when it stays
    """An attempt that failed and may be repeated."""

    def __init__(self, reason: Reason, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.retry_after_s = retry_after_s


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Return the seconds of a Retry-After header, given as seconds or as a date; None where it says none."""
    if header is None:
        return None
    try:
        return max(0.0, float(header)) if header.strip().isdigit() else _until(header, now_s)
    except (ValueError, OverflowError):
        return None


def _until(date: str, now_s: float) -> float:
    return max(0.0, parsedate_to_datetime(date).timestamp() - now_s)


class Pace:
    """What all requests to one endpoint know together: whether it is there, and when to come back."""

    def __init__(
        self,
        options: OpenAIOptions,
        on_retry: Callable[[Reason], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._on_retry = on_retry
        self._clock = clock
        self._outage = 0
        self._since_s: float | None = None
        self._not_before_s = 0.0

    async def turn(self) -> None:
        """Wait until the endpoint wants to be asked again."""
        while (left_s := self._not_before_s - self._clock()) > 0:
            # Not all at once: whoever waited comes back within a backoff's length.
            await asyncio.sleep(left_s + random.uniform(0, self._options.backoff_s))

    def reached(self) -> None:
        """The endpoint has answered, if only with an error of its own."""
        self._since_s = None

    def tries(self) -> AsyncRetrying:
        """Return the attempts of one request; after the last, its Fault is raised.

        Raises ServiceError where the endpoint is gone, or asks to be left alone, for too long.
        """
        used, counted = 0, -1

        def spent(state: RetryCallState) -> bool:
            nonlocal used, counted
            fault = _fault(state)
            outage = self._met(fault)
            if outage is None or outage != counted:
                used += 1
            counted = counted if outage is None else outage
            return used >= self._options.attempts

        return AsyncRetrying(
            retry=retry_if_exception_type(Fault),
            stop=spent,
            wait=self._wait_s,
            before_sleep=lambda state: self._on_retry(_fault(state).reason),
            sleep=asyncio.sleep,
            reraise=True,
        )

    def _met(self, fault: Fault) -> int | None:
        """Take note of a fault; return the number of the outage that it belongs to, if it does."""
        now_s, patience_s = self._clock(), self._options.patience_s
        if fault.retry_after_s is not None:
            if fault.retry_after_s > patience_s:
                raise ServiceError(
                    f"{self._options.base_url}: asks to be left alone for {fault.retry_after_s:.0f} s, "
                    f"longer than patience_s ({patience_s:g}): {fault}"
                )
            self._not_before_s = max(self._not_before_s, now_s + fault.retry_after_s)
        if fault.reason != "outage":
            return None
        if self._since_s is None:
            self._since_s = now_s
            self._outage += 1
        if now_s - self._since_s >= patience_s:
            raise ServiceError(
                f"{self._options.base_url}: gone for longer than patience_s ({patience_s:g}): {fault}; "
                "run the same command again when it is back"
            )
        return self._outage

    def _wait_s(self, state: RetryCallState) -> float:
        """Return a wait drawn evenly from nothing to the backoff, which doubles."""
        longest_s = self._options.backoff_s * 2.0 ** min(state.attempt_number - 1, 30)
        return random.uniform(0, min(longest_s, self._options.max_backoff_s))


def _fault(state: RetryCallState) -> Fault:
    exc = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(exc, Fault)
    return exc
