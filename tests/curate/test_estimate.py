"""What a run will cost: the fit of rates, and the sums that are made with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import two_passes

from curate.estimate import Load, Point, Pool, count_shards, estimate, fit_rate, load_of
from curate.pipeline import PackOptions
from curate.plan import Plan
from curate.rates import Found, Made, PassRates, Rate, Selected
from curate.records import Source
from curate.units import Unit, divide

ZERO = Rate()


@pytest.fixture(scope="module")
def plan() -> Plan:
    return two_passes()


def found(cpu_s: Rate, gpu_s: Rate | None = ZERO, made: Made | None = None) -> Found:
    rates = PassRates(
        fingerprint="x", sources=9, images=0, cpu_s=cpu_s, gpu_s=gpu_s, worker_s=cpu_s, made=made
    )
    return Found(rates, "measured", exact=True)


def units(count: int, size: int = 10**9) -> list[Unit]:
    sources = [Source(f"/s/{n:05d}.mp4", size, "1") for n in range(count)]
    return divide(sources, unit_bytes=4 * size, unit_sources=2)


def test_two_terms_are_told_apart_when_sizes_differ() -> None:
    points = [Point(1, gb, 0.5 + 30 * gb) for gb in (0.0001, 0.01, 0.1, 1.0, 3.0)]
    rate = fit_rate(points)
    assert rate.per_source == pytest.approx(0.5)
    assert rate.per_gb == pytest.approx(30)
    with_unit = fit_rate([replace(p, y=p.y + 2) for p in points], per_unit=2)
    assert (with_unit.per_unit, with_unit.per_source) == (2, pytest.approx(0.5))


def test_one_term_alone_where_the_points_do_not_tell_two_apart() -> None:
    alike = [Point(1, gb, 10.0) for gb in (1.0, 1.1, 1.2, 1.3)]
    assert fit_rate(alike) == Rate(per_gb=40 / 4.6)
    few = [Point(1, 0.1, 1.0), Point(1, 10, 2.0)]
    assert fit_rate(few) == Rate(per_gb=3 / 10.1)
    falling = [Point(1, gb, y) for gb, y in ((0.1, 8.0), (1, 6.0), (10, 4.0), (100, 2.0))]
    assert fit_rate(falling) == Rate(per_source=5.0)


def test_nothing_measured_is_a_rate_of_nothing() -> None:
    assert fit_rate([]) == ZERO
    assert fit_rate([Point(0, 0.0, 3.0)]) == ZERO
    assert fit_rate([Point(1, 1.0, 0.0)] * 5, per_unit=2.0) == Rate(per_unit=2.0)


@given(
    st.lists(
        st.tuples(st.integers(1, 20), st.floats(1e-6, 50), st.floats(0, 1e4)).map(lambda t: Point(*t)),
        min_size=1,
        max_size=30,
    )
)
def test_the_rate_gives_back_what_was_measured_in_all(points: list[Point]) -> None:
    rate = fit_rate(points)
    assert min(rate.per_source, rate.per_gb) >= 0
    whole = Load(0, sum(p.sources for p in points), 0).times(rate) + sum(p.gb for p in points) * rate.per_gb
    assert whole == pytest.approx(sum(p.y for p in points), rel=1e-6, abs=1e-6)


def test_copies_of_other_sources_cost_nothing() -> None:
    a = Source("/a.mp4", 7, "1")
    unit = Unit("u", (a, replace(a, uri="/b.mp4", duplicate_of="/a.mp4")))
    assert load_of(unit) == Load(1, 1, 7)


def test_what_is_committed_is_not_paid_again_but_counts_in_what_the_run_holds(plan: Plan) -> None:
    made = Made(
        clips=Rate(per_gb=10),
        media_bytes=Rate(per_gb=5e8),
        samples_bytes=Rate(per_gb=1e8),
        selected=Selected(where="true", clips=0.5, bytes=0.4),
    )
    rates = {
        "split": found(Rate(per_unit=1, per_source=10, per_gb=100), made=made),
        "caption": found(Rate(per_source=1)),
    }
    every = units(8)
    fresh = estimate(plan, every, {}, rates)
    assert fresh.load == Load(4, 8, 8 * 10**9)
    assert [p.cpu_s for p in fresh.passes] == [4 + 80 + 800, 8]
    assert fresh.total(lambda p: p.cpu_s) == 892
    assert (fresh.clips, fresh.media_bytes, fresh.samples_bytes) == (80, 4e9, 8e8)
    assert (fresh.selected_clips, fresh.selected_bytes) == (40, 1.6e9)
    assert fresh.shards == count_shards(40, 1.6e9, plan.pack)
    half = estimate(plan, every, {"split": {every[0].id, every[1].id}}, rates)
    assert [p.left.units for p in half.passes] == [2, 4]
    assert half.passes[0].cpu_s == 442
    assert half.clips == 80
    only = estimate(plan, every, {"split": {every[0].id}}, rates, only="caption")
    assert [p.left.units for p in only.passes] == [0, 1]
    assert only.total(lambda p: p.cpu_s) == 2


def test_what_was_never_measured_is_unknown(plan: Plan) -> None:
    every = units(4)
    nothing = estimate(plan, every, {}, {})
    assert [p.cpu_s for p in nothing.passes] == [None, None]
    assert (nothing.clips, nothing.shards, nothing.total(lambda p: p.gpu_s)) == (None, None, None)
    assert nothing.wall_s([Pool(2, ("split", "caption"))]) is None
    half = estimate(plan, every, {}, {"split": found(Rate(per_source=1), gpu_s=None)})
    assert (half.passes[0].cpu_s, half.passes[0].gpu_s) == (4, None)
    assert half.total(lambda p: p.cpu_s) is None
    # A pass that has nothing left to do makes nothing unknown.
    done = {"caption": {unit.id for unit in every}}
    rest = estimate(plan, every, done, {"split": found(Rate(per_source=1))})
    assert rest.total(lambda p: p.cpu_s) == 4
    assert rest.wall_s([Pool(2, ("split", "caption"))]) == 2


def test_the_wall_time_is_that_of_the_slowest_pool(plan: Plan) -> None:
    rates = {"split": found(Rate(per_source=30)), "caption": found(Rate(per_source=10))}
    made = estimate(plan, units(8), {}, rates)
    assert made.wall_s([Pool(2, ("split", "caption"))]) == (240 + 80) / 2
    assert made.wall_s([Pool(2, ("split",)), Pool(1, ("caption",))]) == 120
    assert made.wall_s([Pool(99, ("split", "caption"))]) == (240 + 80) / 4
    assert made.wall_s([Pool(None, ("split", "caption"))]) is None


def test_shards_are_filled_to_either_bound() -> None:
    pack = PackOptions(shard_bytes=1000, shard_clips=10)
    assert count_shards(0, 0, pack) == 0
    assert count_shards(5, 10, pack) == 1
    assert count_shards(101, 10, pack) == 11
    assert count_shards(40, 4000, pack) == 5
    assert count_shards(3, 30_000, pack) == 3


def test_a_plan_with_many_units_is_summed_at_once(plan: Plan) -> None:
    many = units(20_000, 10**6)
    rates = {name: found(Rate(per_gb=1)) for name in plan.names}
    assert estimate(plan, many, {}, rates).passes[1].cpu_s == pytest.approx(20)
