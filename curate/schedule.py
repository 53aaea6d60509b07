"""Which unit of which pass is next, and what to do when a worker dies over one. Pure state, no I/O.

A unit of a pass is ready once the pass before has committed it. A task whose worker dies is tried again, by
itself; after `attempts` deaths its sources are tried one by one, committing nothing, and those that kill
their worker every time are condemned: the unit is then done without them, and they become failure rows.
Everything else of the unit is kept. A worker that dies before its models are loaded says nothing about a
unit: that is counted by pass, and ends the run when nobody gets any further. Memory: about 100 bytes a unit
and pass beyond the units themselves; tasks exist only while they are in flight or in trouble.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from curate.records import Failure
from curate.tasks import Task, TaskFailed
from curate.units import Unit
from shards.errors import StageError

__all__ = ["Schedule"]


@dataclass(slots=True)
class _Trouble:
    """What is known of a unit whose worker died or stumbled."""

    deaths: int = 0
    stumbles: int = 0
    isolated: bool = False
    suspects: set[str] = field(default_factory=set)
    """sources still to be tried alone"""
    alone_deaths: dict[str, int] = field(default_factory=dict)
    condemned: dict[str, Failure] = field(default_factory=dict)


class Schedule:
    """The tasks of a run, in the order in which they become ready."""

    def __init__(
        self,
        passes: Sequence[str],
        units: Sequence[Unit],
        committed: Mapping[str, Collection[str]],
        *,
        attempts: Mapping[str, int],
        retry: frozenset[str] | None = None,
    ) -> None:
        """Plan `passes`, in order, over `units`; `committed` names the units that each has done already."""
        self._passes = list(passes)
        self._attempts = attempts
        self._retry = retry
        self._ready: dict[str, deque[Unit]] = {name: deque() for name in passes}
        self._again: dict[str, deque[Task]] = {name: deque() for name in passes}
        self._committed = {name: set(committed.get(name, ())) for name in passes}
        self._trouble: dict[tuple[str, str], _Trouble] = {}
        self._failed_loads = dict.fromkeys(passes, 0)
        self._running = 0
        self.units = len(units)
        known = {unit.id for unit in units}
        for name in passes:
            self._committed[name] &= known
        for unit in units:
            self._offer(unit)

    def _offer(self, unit: Unit) -> None:
        """Queue the first pass that has not committed `unit`."""
        for name in self._passes:
            if unit.id not in self._committed[name]:
                self._ready[name].append(unit)
                return

    def waiting(self) -> dict[str, int]:
        """Return how many tasks each pass could begin now."""
        return {name: len(self._ready[name]) + len(self._again[name]) for name in self._passes}

    def peek(self, name: str) -> Task | None:
        """Return the next task of a pass, which stays first in its queue, or None while nothing is ready."""
        if self._again[name]:
            return self._again[name][0]
        return Task(name, self._ready[name][0], retry=self._retry) if self._ready[name] else None

    def begun(self, name: str) -> None:
        """Take note that the task which `peek` showed is running."""
        (self._again[name] or self._ready[name]).popleft()
        self._running += 1

    @property
    def finished(self) -> bool:
        """Nothing is ready and nothing runs."""
        return self._running == 0 and not any(self.waiting().values())

    def left(self, name: str) -> int:
        """Return how many units `name` has not committed."""
        return self.units - len(self._committed[name])

    def done(self, task: Task) -> None:
        """Take note that `task` ended well."""
        self._running -= 1
        if task.only is not None:
            self._tried_alone(task)
            return
        self._committed[task.pass_name].add(task.unit.id)
        self._trouble.pop(task.key, None)
        self._offer(task.unit)

    def stumbled(self, task: Task, failed: TaskFailed) -> bool:
        """Take note of an error that may pass; False when it has come too often to try again."""
        self._running -= 1
        trouble = self._trouble.setdefault(task.key, _Trouble())
        trouble.stumbles += 1
        if failed.blame == "program" or trouble.stumbles >= self._attempts[task.pass_name]:
            return False
        self._again[task.pass_name].append(task)
        return True

    def returned(self, task: Task) -> None:
        """Take note that `task` was never begun."""
        self._running -= 1
        self._again[task.pass_name].append(task)

    def loaded(self, name: str) -> None:
        """Take note that a worker has loaded the models of a pass."""
        self._failed_loads[name] = 0

    def load_failed(self, name: str, how: str) -> None:
        """Take note that a worker of a pass died while it loaded its models.

        Raises StageError when that has happened `attempts` times since one of them succeeded.
        """
        self._failed_loads[name] += 1
        if self._failed_loads[name] >= self._attempts[name]:
            raise StageError(
                f"pass {name!r}: {self._failed_loads[name]} workers in a row died while loading, the last "
                f"one {how}; too little memory for its models?"
            )

    def died(self, task: Task) -> None:
        """Take note that the worker of `task` died, and queue what comes next."""
        self._running -= 1
        again = self._again[task.pass_name]
        trouble = self._trouble.setdefault(task.key, _Trouble())
        limit = self._attempts[task.pass_name]
        task = replace(task, alone=True)
        if task.only is not None:
            deaths = trouble.alone_deaths[task.only] = trouble.alone_deaths.get(task.only, 0) + 1
            if deaths < limit:
                again.appendleft(task)
            else:
                self._condemn(trouble, task.only)
                self._tried_alone(task)
            return
        trouble.deaths += 1
        suspects = {source.uri for source in task.unit.sources if source.duplicate_of is None}
        suspects -= set(task.condemned)
        if trouble.deaths < limit:
            again.appendleft(task)
        elif trouble.isolated:
            # No source kills its worker alone, together they do: give them all up.
            reason = Failure("WorkerDied", f"the worker of its unit died {trouble.deaths} times")
            self._whole(task, {source.uri: reason for source in task.unit.sources})
        elif len(suspects) == 1:
            trouble.isolated = True
            self._condemn(trouble, next(iter(suspects)))
            self._whole(task, trouble.condemned)
        else:
            trouble.isolated = True
            trouble.suspects = suspects
            again.extendleft(replace(task, only=uri) for uri in sorted(suspects, reverse=True))

    @staticmethod
    def _condemn(trouble: _Trouble, uri: str) -> None:
        # Not how it died: what is seen of that depends on the executor, and rows must not.
        trouble.condemned[uri] = Failure("WorkerDied", "its worker died whenever it was tried")

    def _tried_alone(self, task: Task) -> None:
        trouble = self._trouble[task.key]
        trouble.suspects.discard(task.only or "")
        if not trouble.suspects:
            self._whole(task, trouble.condemned)

    def _whole(self, task: Task, condemned: Mapping[str, Failure]) -> None:
        """Queue the unit without the condemned sources."""
        self._trouble[task.key].deaths = 0
        again = replace(task, only=None, condemned=dict(condemned))
        self._again[task.pass_name].appendleft(again)
