"""A worker: takes tasks one after another, keeps what is dear to build between them, and reports.

The same worker runs under every executor. An error of the program or its surroundings is reported and ends
the run; a source or clip that is wrong never is one.
"""

from __future__ import annotations

import errno
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeAlias

from curate.clips_unit import ClipsRunner
from curate.executors.base import Progress
from curate.plan import Plan
from curate.split.stage import Split
from curate.split.unit import SplitRunner
from curate.tasks import Done, Report, Task, TaskFailed
from shards.errors import CurateError
from shards.run import Purged, RunFiles
from shards.storage import Storage

__all__ = ["Worker", "WorkerSpec", "serve"]

_Runner: TypeAlias = "SplitRunner | ClipsRunner"


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker must know before its first task."""

    plan: Plan
    root: str
    purged: tuple[Purged, ...] = ()


class Worker:
    """Runs tasks of any pass of a plan."""

    def __init__(self, spec: WorkerSpec, report: Callable[[Progress], None]) -> None:
        self._plan = spec.plan
        self._purged = spec.purged
        self._storage = Storage(spec.root)
        self._report = report
        self._runners: dict[str, _Runner] = {}

    def run(self, task: Task) -> Report:
        """Do a task; every error that is not a clip's becomes a TaskFailed."""
        try:
            done = self._runner(task.pass_name).run(task)
            if task.only is None:
                self._write_metrics(task, done)
        except CurateError as exc:
            return TaskFailed(type(exc).__name__, str(exc), exc.exit_code)
        except OSError as exc:
            # A tar that grows in scratch meets a full disk before the storage layer does.
            full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
            what = "disk full" if full else str(exc)
            message = (
                f"{what} while writing unit {task.unit.id} of {task.pass_name!r} to {self._storage.root}"
            )
            return TaskFailed("StorageError", message, 1, "" if full else traceback.format_exc())
        except Exception as exc:
            where = f"pass {task.pass_name!r}, unit {task.unit.id}"
            message = f"{where}: {type(exc).__name__}: {exc}"
            return TaskFailed("StageError", message, 1, traceback.format_exc())
        return done

    def close(self) -> None:
        """Let go of every runner."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def _runner(self, name: str) -> _Runner:
        if name not in self._runners:
            pass_ = self._plan.pass_named(name)
            if pass_.stages[0].cls is Split:
                self._runners[name] = SplitRunner(pass_, self._storage, self._report, self._purged)
            else:
                earlier = self._plan.passes[: self._plan.passes.index(pass_)]
                self._runners[name] = ClipsRunner(pass_, earlier, self._storage, self._report)
        return self._runners[name]

    def _write_metrics(self, task: Task, done: Done) -> None:
        """Write what the unit took; not part of the commit."""
        data = {"pass": task.pass_name, "unit": task.unit.id, "counts": done.counts, "seconds": done.seconds}
        text = json.dumps(data, indent=1, sort_keys=True) + "\n"
        self._storage.write(RunFiles.metrics_path(task.pass_name, task.unit.id), text.encode())


def serve(connection: Connection, spec: WorkerSpec) -> None:
    """Run in a child process: answer tasks until the pipe closes."""
    worker = Worker(spec, connection.send)
    try:
        while True:
            task: Task = connection.recv()
            connection.send(worker.run(task))
    finally:
        worker.close()
