"""Workers on a cluster: pools that grow and shrink with the queues, and what is in flight in them.

One pool a shape of worker. Tasks go out, small reports come back, media go through storage. Nothing here
knows of Ray: the cluster is a handful of calls (`Cluster`), and what to do about a death is the schedule's
business. Cost: a message each way a unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

from curate.driver import RunFailedError
from curate.executors.base import Died, Event, Loaded, LoadFailed, Note, Progress, TaskEvent
from curate.executors.cluster import ActorLostError, CallError, Cluster
from curate.executors.host import Hello
from curate.executors.pools import NodeShape, Shape, check_fit, count_fitting, form_pools, wanted_workers
from curate.executors.slots import has_room
from curate.plan import PassPlan
from curate.tasks import Done, Task, TaskFailed
from curate.versions import CODE, describe_code, differences

__all__ = ["PooledExecutor"]

_PROGRESS_EVERY_S = 2.0
_PROGRESS_CALLS_PER_S = 50
_IDLE_S = 30.0
_STARVED_S = 3.0
_TURN_S = 60.0
_SILENCE_S = 30.0
_GOODBYE_S = 3.0


@dataclass(eq=False, slots=True)
class _Actor:
    """An actor as the driver sees it."""

    pool: _Pool
    name: str
    handle: Any
    since_s: float
    """when it was asked for; once loaded, when it last became idle"""
    node: str = ""
    loaded: bool = False
    loaded_s: float = 0.0
    retiring: bool = False
    asked_s: float = 0.0
    """when its progress was last asked for"""
    tasks: dict[Any, tuple[Task, float]] = field(default_factory=dict)
    """run reference → task and when it was given"""

    @property
    def running(self) -> list[Task]:
        return [task for task, _ in self.tasks.values()]


@dataclass(eq=False, slots=True)
class _Pool:
    """The workers of one shape."""

    shape: Shape
    passes: list[str]
    actors: list[_Actor] = field(default_factory=list)
    started: int = 0
    starved_since_s: float | None = None

    @property
    def serving(self) -> list[_Actor]:
        return [actor for actor in self.actors if actor.loaded and not actor.retiring]


class PooledExecutor:
    """Runs tasks in actors, which come and go with the queues.

    `cap` bounds every pool (`--workers`); `patience_s` is how long a pool may wait for a machine that can
    hold its workers, on clusters that grow by themselves.
    """

    def __init__(
        self,
        passes: Sequence[PassPlan],
        cluster: Cluster,
        *,
        cap: int | None = None,
        patience_s: float = 0.0,
    ) -> None:
        self._cluster = cluster
        self._patience_s = patience_s
        self._limits = {pass_.name: pass_.resources.unit_limit_s for pass_ in passes}
        self._pools = [_Pool(shape, names) for shape, names in form_pools(passes, cap).items()]
        self._by_pass = {name: pool for pool in self._pools for name in pool.passes}
        self._calls: dict[Any, tuple[_Actor, str]] = {}
        """reference → whose call it is, and of which method"""
        self._avoided: set[str] = set()
        """nodes whose disk is full, or whose code is another"""
        self._plenty: dict[str, bool] = {}
        self._notes: list[Event] = []
        self._said_s = monotonic()
        self._told: set[str] = set()
        if patience_s == 0:
            for pool in self._pools:
                check_fit(pool.shape, pool.passes, [node.shape for node in cluster.nodes()])

    # -- tasks --------------------------------------------------------------------------------------------

    def offer(self, task: Task) -> bool:
        """Give a task to an idle actor, or beside another of its pass while plenty are waiting."""
        pool = self._by_pass[task.pass_name]
        in_flight = pool.shape.in_flight if self._plenty.get(task.pass_name) else 1
        rooms = [actor for actor in pool.serving if has_room(actor.running, task, in_flight)]
        if not rooms:
            return False
        actor = min(rooms, key=lambda actor: len(actor.tasks))
        call = self._cluster.call(actor.handle, "run", task, label=task.pass_name)
        actor.tasks[call] = (task, monotonic())
        self._calls[call] = (actor, "run")
        return True

    def wait(self, timeout_s: float, waiting: Mapping[str, int]) -> Sequence[Event]:
        """Return what has happened, after at most `timeout_s`; start and end actors by the queues."""
        events, self._notes = self._notes, []
        self._resize(waiting)
        self._ask_for_progress()
        self._end_overdue()
        calls = list(self._calls)
        if not calls:
            sleep(0.05)
            return events
        for call in self._cluster.ready(calls, 0.0 if events else timeout_s):
            if call in self._calls:  # else its actor was lost a moment ago, with all its calls
                events.extend(self._answered(call))
        return events

    def _answered(self, call: Any) -> Iterable[Event]:
        actor, method = self._calls.pop(call)
        try:
            answer = self._cluster.answer(call)
        except ActorLostError as exc:
            return [] if method == "leave" else self._lost(actor, exc)
        except CallError as exc:
            # What an actor does wrong comes back as an answer: this is a worker that cannot even do that.
            raise RunFailedError(TaskFailed("StageError", f"{actor.name}: {exc}", 1, exc.trace)) from exc
        if method == "load":
            actor.node, hello = answer
            return self._hello(actor, hello)
        if method == "leave":
            self._cluster.kill(actor.handle)
            return []
        if method == "progress":
            return self._progressed(actor, answer)
        task, _ = actor.tasks.pop(call)
        if isinstance(answer, Done) and task.only is None:
            self._cluster.count(task.pass_name, answer)
        if not actor.tasks:
            actor.since_s = monotonic()
            if actor.retiring:
                self._end(actor)
        if isinstance(answer, TaskFailed) and answer.blame == "node":
            self._avoid(actor.node)
        return [TaskEvent(task, answer)]

    def _progressed(self, actor: _Actor, news: Mapping[str, Mapping[str, float]]) -> Iterable[Event]:
        for task in {task.pass_name: task for task in actor.running}.values():
            if counts := news.get(task.pass_name):
                yield TaskEvent(task, Progress(counts))

    def _ask_for_progress(self) -> None:
        now = monotonic()
        busy = [actor for pool in self._pools for actor in pool.actors if actor.tasks]
        every_s = max(_PROGRESS_EVERY_S, len(busy) / _PROGRESS_CALLS_PER_S)
        for actor in busy:
            if now - actor.asked_s > every_s:
                actor.asked_s = now
                self._calls[self._cluster.call(actor.handle, "progress")] = (actor, "progress")

    def _end_overdue(self) -> None:
        """Kill the actors whose unit takes longer than it may; the call then ends as a death."""
        now = monotonic()
        for pool in self._pools:
            for actor in pool.actors:
                if any(
                    now - given_s > self._limits[task.pass_name] for task, given_s in actor.tasks.values()
                ):
                    self._cluster.kill(actor.handle)

    # -- actors -------------------------------------------------------------------------------------------

    def _resize(self, waiting: Mapping[str, int]) -> None:
        now = monotonic()
        demand = {pool: sum(waiting.get(name, 0) for name in pool.passes) for pool in self._pools}
        self._plenty = {name: demand[pool] > len(pool.actors) for pool in self._pools for name in pool.passes}
        starving = [pool for pool in self._pools if demand[pool] and not pool.serving]
        nodes = [node.shape for node in self._cluster.nodes()]
        for pool in self._pools:
            if pool not in starving:
                pool.starved_since_s = None
            elif pool.starved_since_s is None:
                pool.starved_since_s = now
            running = sum(len(actor.tasks) for actor in pool.actors)
            fitting = count_fitting(pool.shape, nodes)
            growing = self._patience_s > 0
            wanted = wanted_workers(pool.shape, fitting, demand[pool], running, growing=growing)
            staying = [actor for actor in pool.actors if not actor.retiring]
            # What a starving pool waits for must not be taken by another one's next worker.
            blocked = any(other is not pool for other in starving) and bool(pool.serving)
            if not blocked:
                for _ in range(wanted - len(staying)):
                    self._start(pool)
            for actor in staying[::-1][: max(0, len(staying) - wanted)]:
                idle = actor.loaded and not actor.tasks
                if idle and (now - actor.since_s > _IDLE_S or any(other is not pool for other in starving)):
                    self._end(actor)
        for pool in starving:
            self._make_room(pool, now, nodes, demand)

    def _make_room(
        self, pool: _Pool, now: float, nodes: Sequence[NodeShape], demand: Mapping[_Pool, int]
    ) -> None:
        """Let the largest other pool give up a worker for one that has work and nobody to do it.

        A pool that has work itself gives its last worker only after a turn: a start costs its models.
        """
        starved_s = now - (pool.starved_since_s or now)
        if starved_s > self._patience_s + _SILENCE_S:
            check_fit(pool.shape, pool.passes, nodes)
        if starved_s > _SILENCE_S and now - self._said_s > _SILENCE_S:
            self._said_s = now
            text = (
                f"{'+'.join(pool.passes)}: no worker after {starved_s:.0f} s; {self._cluster.describe_load()}"
            )
            self._notes.append(Note(text))
        if starved_s < _STARVED_S or any(actor.retiring for p in self._pools for actor in p.actors):
            return
        givers = [
            other
            for other in self._pools
            if other is not pool
            and other.serving
            and (not demand[other] or len(other.serving) > 1 or now - other.serving[0].loaded_s > _TURN_S)
        ]
        if givers:
            giver = max(givers, key=lambda other: len(other.serving))
            actor = min(giver.serving, key=lambda actor: len(actor.tasks))
            actor.retiring = True
            if not actor.tasks:
                self._end(actor)

    def _start(self, pool: _Pool) -> None:
        name = f"{'+'.join(pool.passes)} {pool.started}"
        pool.started += 1
        handle = self._cluster.start(name, pool.shape, self._avoided)
        actor = _Actor(pool, name, handle, monotonic())
        pool.actors.append(actor)
        self._calls[self._cluster.call(handle, "load", pool.passes)] = (actor, "load")

    def _hello(self, actor: _Actor, answer: Hello | TaskFailed) -> list[Event]:
        first = actor.pool.passes[0]
        if isinstance(answer, TaskFailed):
            raise RunFailedError(answer)
        other = differences(describe_code(), answer.code)
        if any(text.startswith(CODE) for text in other):
            self._forget(actor)
            self._cluster.kill(actor.handle)
            self._avoid(actor.node)
            return [LoadFailed(first, f"running other code on {answer.host}: {'; '.join(other)}")]
        actor.loaded = True
        actor.since_s = actor.loaded_s = monotonic()
        events: list[Event] = [Loaded(name) for name in actor.pool.passes]
        if other and answer.host not in self._told:
            self._told.add(answer.host)
            events.append(Note(f"{answer.host}: other versions: {'; '.join(other)}"))
        return events

    def _avoid(self, node: str) -> None:
        """Start nothing more on a node, and end what is idle there, as long as there are other nodes."""
        alive = {node.id for node in self._cluster.nodes(fresh=True)}
        self._avoided.add(node)
        if not alive - self._avoided:
            self._avoided.clear()
            return
        for pool in self._pools:
            for actor in list(pool.actors):
                if actor.node == node:
                    actor.retiring = True
                    if not actor.tasks:
                        self._end(actor)

    def _lost(self, actor: _Actor, lost: ActorLostError) -> list[Event]:
        """Take note that an actor is gone and return what that means for its tasks."""
        self._forget(actor)
        # It may only be out of reach: what it still does must not go on beside its successor for long.
        self._cluster.kill(actor.handle)
        if actor.loaded:
            return [TaskEvent(task, Died(str(lost))) for task in actor.running]
        if lost.with_node:
            return [Note(f"a node was lost before its worker {actor.name!r} had loaded")]
        return [LoadFailed(actor.pool.passes[0], str(lost))]

    def _end(self, actor: _Actor) -> None:
        """End an idle actor, after it has let go of its models."""
        self._forget(actor)
        self._calls[self._cluster.call(actor.handle, "leave")] = (actor, "leave")

    def _forget(self, actor: _Actor) -> None:
        actor.pool.actors.remove(actor)
        self._calls = {call: whose for call, whose in self._calls.items() if whose[0] is not actor}

    def close(self) -> None:
        """End every actor: idle ones once they have let go of their models, busy ones by force."""
        actors = [actor for pool in self._pools for actor in pool.actors]
        idle = [actor for actor in actors if actor.loaded and not actor.tasks]
        leaving = [self._cluster.call(actor.handle, "leave") for actor in idle]
        if leaving:
            self._cluster.ready(leaving, _GOODBYE_S, everything=True)
        for actor in actors:
            self._cluster.kill(actor.handle)
        for pool in self._pools:
            pool.actors.clear()
        self._calls.clear()
