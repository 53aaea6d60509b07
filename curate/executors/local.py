"""A pool of processes on this machine; each takes any task of any pass and keeps its models between them."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import wait

from curate.executors.base import Died, Event
from curate.processes import Child, describe_exit
from curate.tasks import Done, Task, TaskFailed
from curate.worker import WorkerSpec, serve

__all__ = ["LocalExecutor"]

# What a worker may take to let go of its models after its pipe has closed.
_GOODBYE_S = 2.0


class LocalExecutor:
    """Spawns workers as tasks come, up to `workers`; a dead one is replaced by the next task."""

    def __init__(self, spec: WorkerSpec, workers: int) -> None:
        self._spec = spec
        self._workers = workers
        self._idle: list[Child] = []
        self._busy: dict[Child, Task] = {}

    def free(self) -> int:
        """Return how many tasks can be taken at once now."""
        return self._workers - len(self._busy)

    def submit(self, task: Task) -> None:
        """Start a task on an idle worker or a new one."""
        while self._idle:
            # Busy before it has the task: wherever Ctrl-C comes in between, `close` knows the child.
            self._busy[child := self._idle[-1]] = task
            self._idle.pop()
            try:
                child.send(task)
            except OSError:
                del self._busy[child]
                child.close()
                continue
            return
        child = Child(serve, self._spec, name="curate-worker")
        self._busy[child] = task
        child.send(task)

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """Return what has happened, after at most `timeout_s`."""
        by_connection = {child.connection: child for child in self._busy}
        events: list[Event] = []
        for connection in wait(list(by_connection), timeout_s):
            child = by_connection[connection]  # type: ignore[index]
            task = self._busy[child]
            try:
                message = child.connection.recv()
            except (EOFError, OSError):
                how = describe_exit(child.exit_code())
                del self._busy[child]
                child.close()
                events.append((task, Died(how)))
                continue
            if isinstance(message, (Done, TaskFailed)):
                del self._busy[child]
                self._idle.append(child)
            events.append((task, message))
        return events

    def close(self) -> None:
        """End every worker: idle ones by closing their pipe, busy ones by force."""
        for child in self._busy:
            child.close()
        for child in self._idle:
            if child not in self._busy:
                child.close(patience_s=_GOODBYE_S)
        self._busy.clear()
        self._idle.clear()
