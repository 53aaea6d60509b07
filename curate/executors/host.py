"""What an actor holds: a worker with the passes of its pool, and the progress that the driver asks for.

Nothing here knows of Ray. Progress is gathered and fetched every few seconds, so that a unit costs one
message there and one back.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curate.executors.base import Progress
from curate.tally import Tally
from curate.tasks import Report, Task, TaskFailed
from curate.versions import describe_code
from curate.worker import WorkerSpec

__all__ = ["Hello", "Host"]


@dataclass(frozen=True, slots=True)
class Hello:
    """Who a worker is, once it has loaded its models."""

    code: Mapping[str, str]
    host: str
    pid: int


class Host:
    """A worker and what it has done since the driver last asked."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._worker = spec.worker()
        self._news: dict[str, Tally] = {}
        self._lock = threading.Lock()

    def load(self, names: Sequence[str]) -> Hello | TaskFailed:
        """Set up the passes of this worker's pool."""
        for name in names:
            if (failed := self._worker.load(name)) is not None:
                return failed
        return Hello(describe_code(), socket.gethostname(), os.getpid())

    def run(self, task: Task) -> Report:
        """Do a task."""

        def note(progress: Progress) -> None:
            with self._lock:
                self._news.setdefault(task.pass_name, Tally()).add(progress.counts)

        return self._worker.run(task, note)

    def progress(self) -> dict[str, dict[str, float]]:
        """Return pass → what has been added since the last call."""
        with self._lock:
            news, self._news = self._news, {}
        return {name: dict(counts) for name, counts in news.items() if counts}

    def close(self) -> None:
        """Let go of every model."""
        self._worker.close()
