from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import pytest

from curate.executors import local
from curate.executors.base import LoadFailed, NotBegun, TaskEvent
from curate.executors.local import LocalExecutor
from curate.tasks import Task
from curate.units import Unit


@dataclass(frozen=True)
class Resources:
    in_flight: int = 2
    unit_limit_s: float = 600


@dataclass(frozen=True)
class Pass:
    resources: Resources = Resources()


class Plan:
    def pass_named(self, name: str) -> Pass:  # noqa: ARG002
        return Pass()


@dataclass(frozen=True)
class Spec:
    plan: Plan


def die_in_the_second(connection: Connection, spec: Spec) -> None:  # noqa: ARG001
    """Serve like a worker that dies with a task in its hands, its pipe closed."""
    connection.recv()
    connection.close()
    time.sleep(60)


def test_a_task_beside_one_whose_worker_has_died_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes to nobody until the dead worker is buried: neither lost nor offered for ever."""
    monkeypatch.setattr(local, "serve", die_in_the_second)
    executor = LocalExecutor(Spec(Plan()), 1)  # type: ignore[arg-type]
    first, second = (Task("caption", Unit(id=name, sources=())) for name in ("a", "b"))
    try:
        executor.wait(0.0, {"caption": 5})
        assert executor.offer(first)
        (worker,) = executor._workers
        while worker.child.connection.poll(0) is False:  # until its end of the pipe is closed
            time.sleep(0.01)
        assert not executor.offer(second)
        worker.child.kill()
        load_failed, returned = executor.wait(5.0, {"caption": 5})
        assert isinstance(load_failed, LoadFailed)
        assert isinstance(returned, TaskEvent)
        assert (returned.task, type(returned.what)) == (first, NotBegun)
        assert executor.offer(second)
    finally:
        executor.close()
