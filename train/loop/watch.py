"""Ends of a run that are not its own: a signal to stop, and a step that never finishes."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Final, Self

__all__ = ["HANG_EXIT", "STOP_EXIT", "StopSignal", "Watchdog"]

STOP_EXIT: Final = 75
"""exit code after SIGTERM or Ctrl-C: a checkpoint was saved, and `--resume` goes on from it (EX_TEMPFAIL)"""
HANG_EXIT: Final = 70
"""exit code where no step finished in time: all stacks are on standard error (EX_SOFTWARE)"""

_NOTED: Final = (signal.SIGTERM, signal.SIGINT)
_LOG = logging.getLogger(__name__)


class StopSignal:
    """Notes SIGTERM and a first Ctrl-C instead of dying of them; a second Ctrl-C is an ordinary one.

    A context; only the main thread of a process may enter it.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in _NOTED}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if number == signal.SIGINT:
            signal.signal(number, self._before[signal.SIGINT])
            _LOG.warning("stops after this step, and saves; Ctrl-C once more stops at once")


class Watchdog:
    """Ends the process where `beat` was not called for `limit_s` seconds; a context. 0: never.

    A collective that waits for a dead rank cannot be interrupted from Python, so the process ends at once,
    after the stacks of all threads are written; its launcher then ends the others.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._beaten = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        if self._limit_s:
            self._beaten = time.monotonic()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def beat(self) -> None:
        """Say that something got done."""
        self._beaten = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._limit_s / 4)):
            idle_s = time.monotonic() - self._beaten
            if idle_s > self._limit_s:
                _LOG.critical("no step finished in %.0f s: stacks follow, then the process ends", idle_s)
                faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
                os._exit(HANG_EXIT)
