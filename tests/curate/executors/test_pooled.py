"""The pooled executor on a cluster of our own making: growth, deaths, bad nodes, starvation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from plans import two_passes

from curate.driver import RunFailedError
from curate.executors import pooled
from curate.executors.base import Died, Loaded, LoadFailed, Note, Progress, TaskEvent
from curate.executors.cluster import ActorLostError, CallError, Node
from curate.executors.host import Hello
from curate.executors.pooled import PooledExecutor
from curate.executors.pools import NodeShape, Shape
from curate.plan import Plan
from curate.tasks import Done, Task, TaskFailed
from curate.units import Unit
from curate.versions import describe_code
from shards.errors import ConfigError


@dataclass(eq=False)
class Actor:
    name: str
    node: str
    shape: Shape
    avoided: frozenset[str] = frozenset()
    alive: bool = True


@dataclass(eq=False)
class Call:
    actor: Actor
    method: str
    arguments: tuple[Any, ...]
    answer: Any = None
    ended: bool = False


@dataclass
class FakeCluster:
    """Calls end when the test says so; `load` ends at once where the actor fits."""

    cpus: dict[str, float] = field(default_factory=lambda: {"n0": 2.0, "n1": 2.0})
    code: dict[str, dict[str, str]] = field(default_factory=dict)
    actors: list[Actor] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    loads: bool = True

    def nodes(self, *, fresh: bool = False) -> Sequence[Node]:  # noqa: ARG002
        return [Node(name, name, NodeShape(cpus, 0, 2**34)) for name, cpus in self.cpus.items()]

    def free(self, node: str) -> float:
        taken = sum(a.shape.cpus for a in self.actors if a.alive and a.node == node)
        return self.cpus[node] - taken

    def place(self, actor: Actor) -> None:
        roomy = (n for n in self.cpus if n not in actor.avoided and self.free(n) >= actor.shape.cpus)
        actor.node = actor.node or next(roomy, "")

    def start(self, name: str, shape: Shape, avoided: Collection[str]) -> Actor:
        actor = Actor(name, "", shape, frozenset(avoided))
        self.place(actor)
        self.actors.append(actor)
        return actor

    def call(self, handle: Actor, method: str, *arguments: object, label: str = "") -> Call:  # noqa: ARG002
        call = Call(handle, method, arguments)
        if method == "leave":
            call.ended = True
        self.calls.append(call)
        return call

    def ready(self, calls: Sequence[Call], timeout_s: float, *, everything: bool = False) -> Sequence[Call]:  # noqa: ARG002
        for call in calls:
            if call.method == "load" and self.loads and not call.ended:
                actor = call.actor
                self.place(actor)
                if actor.node:
                    hello = Hello(self.code.get(actor.node, dict(describe_code())), actor.node, 1)
                    call.answer, call.ended = (actor.node, hello), True
        return [call for call in calls if call.ended]

    def answer(self, call: Call) -> Any:
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer

    def kill(self, handle: Actor) -> None:
        handle.alive = False

    def describe_load(self) -> str:
        return "free now: nothing"

    def count(self, pass_name: str, done: Done) -> None:  # noqa: ARG002
        self.counted.append(pass_name)

    # -- for the tests ------------------------------------------------------------------------------------

    def running(self) -> list[Call]:
        return [call for call in self.calls if call.method == "run" and not call.ended]

    def end(self, call: Call, answer: Any) -> None:
        call.answer, call.ended = answer, True

    def living(self) -> list[Actor]:
        return [actor for actor in self.actors if actor.alive]


def task(unit: str, name: str = "split", *, alone: bool = False) -> Task:
    return Task(name, Unit(unit, ()), alone=alone)


def settle(executor: PooledExecutor, **waiting: int) -> list[Any]:
    """Two turns: actors are asked for in the first and have loaded after the second."""
    return [*executor.wait(0, waiting), *executor.wait(0, waiting)]


@pytest.fixture
def plan() -> Plan:
    return two_passes()


def test_a_pool_grows_with_its_queue_and_no_further(plan: Plan) -> None:
    cluster = FakeCluster()
    executor = PooledExecutor(plan.passes, cluster)
    assert not executor.offer(task("a"))
    events = settle(executor, split=3)
    assert len(cluster.actors) == 3
    assert events.count(Loaded("split")) == 3
    settle(executor, split=100)
    assert len(cluster.actors) == 4, "as many as fit"
    assert {actor.name for actor in cluster.actors} == {f"split+caption {n}" for n in range(4)}


def test_a_second_task_goes_beside_the_first_only_while_plenty_wait(plan: Plan) -> None:
    cluster = FakeCluster(cpus={"n0": 1.0})
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=5)
    assert executor.offer(task("a"))
    assert executor.offer(task("b"))
    assert not executor.offer(task("c")), "in_flight is 2"
    cluster.end(cluster.running()[0], Done({}, {}))
    settle(executor, split=1)
    assert not executor.offer(task("d")), "the last ones wait for whoever is free first"


def test_reports_come_back_and_are_counted_once(plan: Plan) -> None:
    cluster = FakeCluster()
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=1)
    assert executor.offer(task("a"))
    assert executor.offer(replace(task("b"), only="x")) is False
    cluster.end(cluster.running()[0], done := Done({"rows": 1}, {}))
    assert TaskEvent(task("a"), done) in executor.wait(0, {})
    assert cluster.counted == ["split"]


def test_a_death_is_told_of_every_task_in_flight_and_the_actor_is_replaced(plan: Plan) -> None:
    cluster = FakeCluster(cpus={"n0": 1.0})
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=9)
    assert executor.offer(task("a"))
    assert executor.offer(task("b"))
    cluster.end(cluster.running()[0], ActorLostError("killed", with_node=False))
    events = executor.wait(0, {"split": 9})
    assert {event.task.unit.id for event in events if event.what == Died("killed")} == {"a", "b"}
    assert not cluster.living()
    settle(executor, split=9)
    assert len(cluster.living()) == 1


def test_an_actor_that_dies_while_loading_costs_no_unit(plan: Plan) -> None:
    cluster = FakeCluster(loads=False)
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=1)
    cluster.end(cluster.calls[0], ActorLostError("killed for memory", with_node=False))
    assert executor.wait(0, {"split": 1}) == [LoadFailed("split", "killed for memory")]
    settle(executor, split=1)
    cluster.end(cluster.calls[1], ActorLostError("lost with its node", with_node=True))
    (note,) = executor.wait(0, {"split": 1})
    assert isinstance(note, Note), "a node that goes says nothing about the models"


def test_a_stage_that_cannot_be_set_up_ends_the_run(plan: Plan) -> None:
    cluster = FakeCluster(loads=False)
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=1)
    cluster.end(cluster.calls[0], ("n0", TaskFailed("StageError", "no weights", 1)))
    with pytest.raises(RunFailedError, match="no weights"):
        executor.wait(0, {"split": 1})


def test_a_call_that_raises_ends_the_run_with_its_trace(plan: Plan) -> None:
    cluster = FakeCluster()
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=1)
    executor.offer(task("a"))
    cluster.end(cluster.running()[0], CallError("ImportError: x", "trace"))
    with pytest.raises(RunFailedError, match="ImportError: x") as failed:
        executor.wait(0, {})
    assert failed.value.trace == "trace"


def test_a_node_with_a_full_disk_is_given_nothing_more(plan: Plan) -> None:
    cluster = FakeCluster()
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=4)
    executor.offer(task("a"))
    full = cluster.running()[0].actor.node
    cluster.end(cluster.running()[0], TaskFailed("StorageError", "disk full", 1, blame="node"))
    executor.wait(0, {"split": 4})
    settle(executor, split=4)
    assert cluster.living()
    assert all(actor.node != full for actor in cluster.living())
    assert executor.offer(task("a"))
    assert cluster.running()[0].actor.node != full


def test_other_code_on_a_node_is_refused_and_other_versions_are_told_once(plan: Plan) -> None:
    mine = dict(describe_code())
    cluster = FakeCluster(
        cpus={"n0": 1, "n1": 2}, code={"n0": {**mine, "code": "x"}, "n1": {**mine, "av": "1"}}
    )
    executor = PooledExecutor(plan.passes, cluster)
    events = [*settle(executor, split=3), *settle(executor, split=3), *settle(executor, split=3)]
    failed = next(event for event in events if isinstance(event, LoadFailed))
    assert failed.how.startswith("running other code on n0")
    assert [event.text for event in events if isinstance(event, Note)] == [
        f"n1: other versions: av {mine['av']} here, 1 there"
    ]
    assert all(actor.node == "n1" for actor in cluster.living() if actor.node)


def test_a_pool_with_work_and_no_worker_is_made_room_for(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "_STARVED_S", 0.0)
    monkeypatch.setattr(pooled, "_TURN_S", 0.0)
    plan = two_passes("caption.resources.cpus=0.5")
    cluster = FakeCluster(cpus={"n0": 1.0})
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=5)
    assert executor.offer(task("a"))
    assert executor.offer(task("b"))
    settle(executor, split=5, caption=1)
    assert not executor.offer(task("c")), "the only worker is to make room"
    for call in cluster.running():
        cluster.end(call, Done({}, {}))
    for _ in range(10):
        executor.wait(0, {"split": 5, "caption": 1})
        if executor.offer(task("a", "caption")):
            break
    assert [actor.name for actor in cluster.living() if actor.node] == ["caption 0"]
    cluster.end(cluster.running()[0], Done({}, {}))
    for _ in range(3):
        settle(executor, split=5)
    assert [actor.name.split()[0] for actor in cluster.living() if actor.node] == ["split"]


def test_a_unit_that_takes_too_long_loses_its_actor(plan: Plan) -> None:
    plan = two_passes("split.resources.unit_limit_s=0.001")
    cluster = FakeCluster()
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=1)
    executor.offer(task("a"))
    while cluster.running()[0].actor.alive:
        executor.wait(0, {})


def test_progress_is_asked_for_and_passed_on(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "_PROGRESS_EVERY_S", -1.0)
    cluster = FakeCluster()
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=1)
    executor.offer(task("a"))
    executor.wait(0, {})
    asked = next(call for call in cluster.calls if call.method == "progress")
    cluster.end(asked, {"split": {"clips": 2.0}})
    assert TaskEvent(task("a"), Progress({"clips": 2.0})) in executor.wait(0, {})


def test_what_no_node_can_hold_is_refused_unless_the_cluster_may_grow(plan: Plan) -> None:
    plan = two_passes("caption.resources.gpus=1")
    with pytest.raises(ConfigError, match="'caption': asks for 1 CPU, 1 GPU"):
        PooledExecutor(plan.passes, FakeCluster())
    executor = PooledExecutor(plan.passes, FakeCluster(), patience_s=60)
    settle(executor, caption=1)


def test_closing_ends_every_actor(plan: Plan) -> None:
    cluster = FakeCluster()
    executor = PooledExecutor(plan.passes, cluster)
    settle(executor, split=4)
    executor.offer(task("a"))
    executor.close()
    assert not cluster.living()
