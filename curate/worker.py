"""A worker: takes tasks, up to `in_flight` of a pass at once, keeps what is dear to build, and reports.

The same worker runs under every executor. An error of the program or its surroundings is reported and ends
the run; a source or clip that is wrong never is one. Threads serve the tasks in flight: what a pass computes
stays serial (its runner sees to that), what it reads and writes overlaps.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from time import process_time
from typing import Final, TypeAlias

from curate.clips_unit import ClipsRunner
from curate.commit import write_metrics
from curate.executors.base import Loaded, Progress
from curate.meter import CpuMeter
from curate.plan import Plan
from curate.split.stage import Split
from curate.split.unit import SplitRunner
from curate.tasks import Report, Task, TaskFailed
from shards.errors import CurateError, StorageError, WorkerLostError
from shards.run import Purged
from shards.storage import is_remote, open_storage

__all__ = ["Worker", "WorkerSpec", "serve"]

_LOST: Final = 70
"""exit status of a worker whose engine has died: EX_SOFTWARE of sysexits.h"""
_Runner: TypeAlias = "SplitRunner | ClipsRunner"


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a worker must know before its first task."""

    plan: Plan
    root: str
    purged: tuple[Purged, ...] = ()

    def worker(self) -> Worker:
        """Return a worker that knows this."""
        return Worker(self)


class Worker:
    """Runs tasks of any pass of a plan; `run` may be called from several threads."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._plan = spec.plan
        self._purged = spec.purged
        self._root = spec.root
        self._storage = open_storage(spec.root)
        self._runners: dict[str, _Runner] = {}
        self._loading = threading.Lock()
        self._meter = CpuMeter(self._cpu_s)

    def load(self, pass_name: str) -> TaskFailed | None:
        """Set up a pass's stages, if that has not been done; a failure is the program's."""
        try:
            self._runner(pass_name)
        except Exception as exc:
            return self._failed(exc, f"pass {pass_name!r}, loading")
        return None

    def run(self, task: Task, report: Callable[[Progress], None]) -> Report:
        """Do a task whose pass is loaded; every error that is not a clip's becomes a TaskFailed."""
        try:
            runner = self._runner(task.pass_name)
            with self._meter.task() as used:
                done = runner.run(task, report)
            if task.only is None:
                done = replace(done, counts={**done.counts, "cpu_s": used.cpu_s})
                write_metrics(self._storage, self._plan.pass_named(task.pass_name), task.unit.id, done)
        except WorkerLostError as exc:
            # Like any death: the executor starts another worker, counts the attempt and finds the culprit.
            logging.getLogger(__name__).error("%s", exc)
            os._exit(_LOST)
        except Exception as exc:
            return self._failed(exc, f"pass {task.pass_name!r}, unit {task.unit.id}")
        return done

    def close(self) -> None:
        """Let go of every runner."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def _runner(self, name: str) -> _Runner:
        with self._loading:
            if name not in self._runners:
                pass_ = self._plan.pass_named(name)
                if pass_.stages[0].cls is Split:
                    self._runners[name] = SplitRunner(pass_, self._storage, self._purged)
                else:
                    earlier = self._plan.passes[: self._plan.passes.index(pass_)]
                    self._runners[name] = ClipsRunner(pass_, earlier, self._storage)
            return self._runners[name]

    def _cpu_s(self) -> float:
        """Return the processor time that this process and its decoders have used."""
        runners = list(self._runners.values())
        return process_time() + sum(r.decoder_cpu_s() for r in runners if isinstance(r, SplitRunner))

    def _failed(self, exc: Exception, where: str) -> TaskFailed:
        cause = exc.__cause__ if isinstance(exc, StorageError) else exc
        remote = is_remote(self._root)
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            # A tar that grows in scratch meets a full disk before the storage layer does. Scratch of a run in
            # an object store is this machine's own disk: another machine may have room.
            message = str(exc) if isinstance(exc, StorageError) else f"disk full ({where}), run {self._root}"
            return TaskFailed("StorageError", message, 1, blame="node" if remote else "program")
        if isinstance(exc, StorageError):
            return TaskFailed("StorageError", str(exc), 1, blame="storage" if remote else "program")
        if isinstance(exc, CurateError):
            return TaskFailed(type(exc).__name__, str(exc), exc.exit_code)
        message = f"{where}: {type(exc).__name__}: {exc}"
        return TaskFailed("StageError", message, 1, "".join(traceback.format_exception(exc)))


def serve(connection: Connection, spec: WorkerSpec) -> None:
    """Run in a child process: answer tasks until the pipe closes."""
    worker = spec.worker()
    speaking = threading.Lock()

    def say(task: Task, message: object) -> None:
        with speaking:
            connection.send((task.key, message))

    def serve_one(task: Task) -> None:
        failed = worker.load(task.pass_name)
        if failed is not None:
            say(task, failed)
            return
        say(task, Loaded(task.pass_name))
        say(task, worker.run(task, lambda progress: say(task, progress)))

    # Threads of a pool live as long as the worker: a decoder child dies with the thread that started it.
    threads = max(p.resources.in_flight for p in spec.plan.passes)
    pool = ThreadPoolExecutor(threads)
    try:
        while True:
            pool.submit(serve_one, connection.recv())
    finally:
        # The driver is gone or wants no more: nobody waits for what is in flight.
        worker.close()
        pool.shutdown(wait=False, cancel_futures=True)
