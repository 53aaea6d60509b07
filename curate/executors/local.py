"""A pool of processes on this machine; each takes any task of any pass and keeps its models between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from time import monotonic

from curate.executors.base import Died, Event, Loaded, LoadFailed, NotBegun, Progress, TaskEvent
from curate.executors.slots import has_room
from curate.processes import Child, describe_exit
from curate.tasks import Task
from curate.worker import WorkerSpec, serve

__all__ = ["LocalExecutor"]

# What a worker may take to let go of its models after its pipe has closed.
_GOODBYE_S = 2.0


@dataclass(eq=False, slots=True)
class _Worker:
    child: Child
    tasks: dict[tuple[str, str], Task] = field(default_factory=dict)
    given_s: dict[tuple[str, str], float] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)


class LocalExecutor:
    """Spawns workers as tasks come, up to `workers`; a dead one is replaced by the next task.

    A worker is given a second task only while more are waiting than there are workers: its reading and
    writing then hide behind the first one's work.
    """

    def __init__(self, spec: WorkerSpec, workers: int) -> None:
        self._spec = spec
        self._limit = workers
        self._workers: list[_Worker] = []
        self._plenty = False

    def offer(self, task: Task) -> bool:
        """Start a task on an idle worker, a new one, or beside another task of its pass."""
        worker = self._place(task)
        if worker is None:
            return False
        # Busy before it has the task: wherever Ctrl-C comes in between, `close` knows the child.
        worker.tasks[task.key] = task
        worker.given_s[task.key] = monotonic()
        try:
            worker.child.send(task)
        except OSError:
            del worker.tasks[task.key]
            if worker.tasks:  # `wait` buries it, with what it had; this task is offered again after that
                return False
            self._workers.remove(worker)  # it died while it was idle; another one takes the task
            worker.child.close()
            return self.offer(task)
        return True

    def _place(self, task: Task) -> _Worker | None:
        for worker in self._workers:
            if not worker.tasks:
                return worker
        if len(self._workers) < self._limit:
            self._workers.append(_Worker(Child(serve, self._spec, name="curate-worker")))
            return self._workers[-1]
        if not self._plenty:
            return None
        in_flight = self._spec.plan.pass_named(task.pass_name).resources.in_flight
        rooms = [w for w in self._workers if has_room(list(w.tasks.values()), task, in_flight)]
        return min(rooms, key=lambda worker: len(worker.tasks), default=None)

    def wait(self, timeout_s: float, waiting: Mapping[str, int]) -> Sequence[Event]:
        """Return what has happened, after at most `timeout_s`."""
        self._plenty = sum(waiting.values()) > self._limit
        self._end_overdue()
        by_connection = {worker.child.connection: worker for worker in self._workers if worker.tasks}
        events: list[Event] = []
        for connection in wait(list(by_connection), timeout_s):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                key, message = worker.child.connection.recv()
            except (EOFError, OSError):
                events.extend(self._bury(worker))
                continue
            if isinstance(message, Loaded):
                worker.loaded.add(message.pass_name)
                events.append(message)
                continue
            task = worker.tasks[key] if isinstance(message, Progress) else worker.tasks.pop(key)
            events.append(TaskEvent(task, message))
        return events

    def _end_overdue(self) -> None:
        """Kill the workers whose unit takes longer than it may; the pipe then closes, which is a death."""
        now = monotonic()
        for worker in self._workers:
            for key, task in worker.tasks.items():
                limit_s = self._spec.plan.pass_named(task.pass_name).resources.unit_limit_s
                if now - worker.given_s[key] > limit_s:
                    worker.child.kill()

    def _bury(self, worker: _Worker) -> list[Event]:
        """Remove a dead worker and return what that means for its tasks."""
        how = describe_exit(worker.child.exit_code())
        self._workers.remove(worker)
        worker.child.close()
        events: list[Event] = []
        loading = {task.pass_name for task in worker.tasks.values()} - worker.loaded
        events.extend(LoadFailed(name, how) for name in sorted(loading))
        for task in worker.tasks.values():
            begun = task.pass_name in worker.loaded
            events.append(TaskEvent(task, Died(how) if begun else NotBegun()))
        return events

    def close(self) -> None:
        """End every worker: idle ones by closing their pipe, busy ones by force."""
        for worker in sorted(self._workers, key=lambda worker: not worker.tasks):
            worker.child.close(patience_s=0.0 if worker.tasks else _GOODBYE_S)
        self._workers.clear()
