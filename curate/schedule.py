"""Which unit of which pass is next, and what to do when a worker dies over one. Pure state, no I/O.

A unit of a pass is ready once the pass before has committed it; later passes go first, so that results come
early and little waits. A task whose worker dies is tried again; after `attempts` deaths its sources are tried
one by one, committing nothing, and those that kill their worker every time are condemned: the unit is then
done without them, and they become failure rows. Everything else of the unit is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from curate.records import Failure
from curate.tasks import Task
from curate.units import Unit

__all__ = ["Schedule"]


@dataclass(slots=True)
class _Trouble:
    """What is known of a unit whose worker died."""

    deaths: int = 0
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
        self._ready: dict[str, deque[Task]] = {name: deque() for name in passes}
        self._committed = {name: set(committed.get(name, ())) for name in passes}
        self._trouble: dict[tuple[str, str], _Trouble] = {}
        self._running = 0
        self._units = {unit.id: unit for unit in units}
        for unit in units:
            self._offer(unit)

    def _offer(self, unit: Unit) -> None:
        """Queue the first pass that has not committed `unit`."""
        for name in self._passes:
            if unit.id not in self._committed[name]:
                self._ready[name].append(Task(name, unit, retry=self._retry))
                return

    def take(self) -> Task | None:
        """Return the next task, or None while nothing is ready."""
        for name in reversed(self._passes):
            if self._ready[name]:
                self._running += 1
                return self._ready[name].popleft()
        return None

    @property
    def finished(self) -> bool:
        """Nothing is ready and nothing runs."""
        return self._running == 0 and not any(self._ready.values())

    def left(self, name: str) -> int:
        """Return how many units `name` has not committed."""
        return len(self._units) - len(self._committed[name])

    def done(self, task: Task) -> None:
        """Take note that `task` ended well."""
        self._running -= 1
        if task.only is not None:
            self._tried_alone(task)
            return
        self._committed[task.pass_name].add(task.unit.id)
        self._trouble.pop(task.key, None)
        self._offer(task.unit)

    def died(self, task: Task, how: str) -> None:
        """Take note that the worker of `task` died, and queue what comes next."""
        self._running -= 1
        trouble = self._trouble.setdefault(task.key, _Trouble())
        limit = self._attempts[task.pass_name]
        if task.only is not None:
            deaths = trouble.alone_deaths[task.only] = trouble.alone_deaths.get(task.only, 0) + 1
            if deaths < limit:
                self._ready[task.pass_name].appendleft(task)
            else:
                why = f"its worker was {how} whenever it was tried"
                trouble.condemned[task.only] = Failure("WorkerDied", why)
                self._tried_alone(task)
            return
        trouble.deaths += 1
        if trouble.deaths < limit:
            self._ready[task.pass_name].appendleft(task)
        elif trouble.isolated:
            # No source kills its worker alone, together they do: give them all up.
            reason = Failure("WorkerDied", f"the worker of its unit was {how}, {trouble.deaths} times")
            self._again(task, {source.uri: reason for source in task.unit.sources})
        else:
            self._isolate(task, trouble)

    def _isolate(self, task: Task, trouble: _Trouble) -> None:
        trouble.isolated = True
        trouble.suspects = {source.uri for source in task.unit.sources if source.duplicate_of is None}
        for uri in sorted(trouble.suspects, reverse=True):
            self._ready[task.pass_name].appendleft(replace(task, only=uri))

    def _tried_alone(self, task: Task) -> None:
        trouble = self._trouble[task.key]
        trouble.suspects.discard(task.only or "")
        if not trouble.suspects:
            trouble.deaths = 0
            self._again(task, trouble.condemned)

    def _again(self, task: Task, condemned: Mapping[str, Failure]) -> None:
        self._trouble[task.key].deaths = 0
        self._ready[task.pass_name].appendleft(replace(task, only=None, condemned=dict(condemned)))
