"""How many workers of which shape: arithmetic on queues, bounds and nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import two_passes

from curate.executors.pools import NodeShape, Shape, check_fit, count_fitting, form_pools, wanted_workers
from curate.executors.slots import has_room
from curate.tasks import Task
from curate.units import Unit
from shards.errors import ConfigError


def shape(
    cpus: float = 1.0, gpus: float = 0.0, memory: int = 0, low: int = 0, high: int | None = None
) -> Shape:
    return Shape(cpus, gpus, memory, 2, low, high)


def task(name: str, unit: str, *, alone: bool = False) -> Task:
    return Task(name, Unit(unit, ()), alone=alone)


def test_workers_fit_by_what_is_scarcest_on_each_node() -> None:
    nodes = [NodeShape(8, 2, 64e9), NodeShape(4, 0, 16e9), NodeShape(1, 4, 4e9)]
    assert count_fitting(shape(), nodes) == 13
    assert count_fitting(shape(cpus=2), nodes) == 6
    assert count_fitting(shape(gpus=1), nodes) == 3
    assert count_fitting(shape(gpus=0.5), nodes) == 4 + 1
    assert count_fitting(shape(gpus=0.5, cpus=0.1), nodes) == 4 + 8
    assert count_fitting(shape(memory=30 * 10**9), nodes) == 2
    assert count_fitting(shape(cpus=16), nodes) == 0


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 5),
    st.none() | st.integers(5, 9),
)
def test_a_pool_stays_between_its_bounds(
    fitting: int, waiting: int, running: int, low: int, high: int | None
) -> None:
    wanted = wanted_workers(shape(low=low, high=high), fitting, waiting, running)
    assert low <= wanted <= max(low, high if high is not None else max(1, fitting))
    if not waiting and not running:
        assert wanted == low


def test_an_upper_bound_is_asked_for_even_where_it_does_not_fit_yet() -> None:
    assert wanted_workers(shape(high=64), 2, 1000, 2) == 64
    assert wanted_workers(shape(), 2, 1000, 2) == 2
    assert wanted_workers(shape(), 2, 1000, 2, growing=True) == 4
    assert wanted_workers(shape(), 2, 1, 2, growing=True) == 3


def test_passes_of_one_shape_share_a_pool_and_a_gpu_pass_has_its_own() -> None:
    same = two_passes()
    assert list(form_pools(same.passes, None).values()) == [["split", "caption"]]
    apart = two_passes("caption.resources.gpus=1")
    assert list(form_pools(apart.passes, 3).values()) == [["split"], ["caption"]]
    assert {one.workers for one in form_pools(apart.passes, 3)} == {3}


def test_what_does_not_fit_says_what_there_is() -> None:
    nodes = [NodeShape(2, 0, 2**30), NodeShape(2, 0, 2**30)]
    check_fit(shape(cpus=2), ["split"], nodes)
    with pytest.raises(
        ConfigError, match=r"'caption': asks for 1 CPU, 8 GPU a worker.*room for 0 .*2 × \(2 CPU"
    ):
        check_fit(shape(gpus=8), ["caption"], nodes)
    with pytest.raises(ConfigError, match=r"5 workers at least.*room for 4"):
        check_fit(shape(low=5), ["split"], nodes)


def test_only_healthy_units_of_one_pass_share_a_worker() -> None:
    assert has_room([], task("split", "a"), 1)
    assert has_room([task("split", "a")], task("split", "b"), 2)
    assert not has_room([task("split", "a")], task("split", "b"), 1)
    assert not has_room([task("split", "a")], task("caption", "b"), 2)
    assert not has_room([task("split", "a")], task("split", "b", alone=True), 2)
    assert not has_room([task("split", "a", alone=True)], task("split", "b"), 2)
    assert has_room([], task("split", "b", alone=True), 1)
