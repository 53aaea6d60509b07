import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_manifests import simulated, stage

from train.dit import PRESETS
from train.plan.packing import Window, fill_packs
from train.plan.permutation import Order, permuted
from train.plan.strata import stratified
from train.plan.thresholds import bound_at, fails, resolved, turning_points
from train.plan.tokens import frames_of, patch_frames
from train.plan.views import Views, allowed, views
from train.recipe import Threshold


@given(size=st.integers(1, 3000), key=st.integers(0, 2**64 - 1), first=st.integers(0, 10**9))
@settings(max_examples=60)
def test_every_epoch_is_a_permutation_and_any_draw_is_had_at_once(size: int, key: int, first: int) -> None:
    start = first * size
    rows, epochs = permuted(np.arange(start, start + 2 * size), size, key)
    assert sorted(rows[:size].tolist()) == sorted(rows[size:].tolist()) == list(range(size))
    assert set(epochs.tolist()) == {first, first + 1}
    alone, _ = permuted(np.array([start + size // 2]), size, key)
    assert alone[0] == rows[size // 2]


def test_rows_come_anywhere_equally_often() -> None:
    # First rows of 5,000 epochs of 50: chi-square with 49 degrees of freedom, 99.9 % lie below 85.4.
    rows, _ = permuted(np.arange(5000) * 50, 50, 7)
    assert _chi_square(np.bincount(rows, minlength=50)) < 85.4
    following, _ = permuted(np.arange(5000) * 50 + 1, 50, 7)
    steps = np.bincount((following - rows) % 50, minlength=50)[1:]
    assert _chi_square(steps) < 84.1


@given(cut=st.integers(0, 200), weights=st.tuples(*[st.sampled_from([0.1, 0.5, 1.0, 3.0])] * 3))
@settings(max_examples=40)
def test_manifests_take_turns_whatever_is_drawn_together(cut: int, weights: tuple[float, ...]) -> None:
    order = Order([np.arange(30), np.arange(30, 37), np.arange(37, 100)], weights, seed=1)
    whole = order.draws([0, 0, 0], 300)
    drawn = np.bincount(whole.sources_N[:cut], minlength=3)
    rest = order.draws(drawn.tolist(), 300 - cut)
    assert np.array_equal(whole.rows_N[cut:], rest.rows_N)
    assert np.array_equal(whole.visits_N[cut:], rest.visits_N)
    rates = np.array([30, 7, 63]) * weights
    expected = 300 * rates / rates.sum()
    assert np.abs(np.bincount(whole.sources_N, minlength=3) - expected).max() <= 2


@pytest.mark.parametrize("clips", [1, 2, 3, 7, 8, 512])
def test_timesteps_are_stratified_exactly_and_uniform_alone(clips: int) -> None:
    steps = 4096 // clips if clips > 8 else 4000
    times_SN = np.stack([stratified(clips, step, seed=3) for step in range(steps)])
    for place in range(clips):
        low, high = 1000 * place // clips, math.ceil(1000 * (place + 1) / clips)
        sorted_S = np.sort(times_SN, axis=1)[:, place]
        assert (sorted_S >= low).all()
        assert (sorted_S < high).all()
    assert times_SN.max() == 999
    assert times_SN.min() == 0
    # The first clip's timestep alone, over 20 bins: 99.9 % of chi-square lie below 43.8 (19 degrees).
    first = np.array([stratified(clips, step, seed=4)[0] for step in range(4000)])
    assert _chi_square(np.bincount(first // 50, minlength=20)) < 43.8
    assert np.array_equal(times_SN[1], stratified(clips, 1, seed=3))


def test_thresholds_move_as_they_say() -> None:
    points = ((10, 1.0), (20, 3.0))
    steps = Threshold(column="a", bound="min", kind="step", points=points)
    ramp = Threshold(column="a", bound="min", kind="ramp", points=points)
    assert [bound_at(steps, at) for at in (0, 10, 19, 20, 99)] == [1, 1, 1, 3, 3]
    assert [bound_at(ramp, at) for at in (0, 10, 15, 20, 99)] == [1, 1, 2, 3, 3]
    assert turning_points([steps, ramp], 15) == [0, 10, 14]
    values = np.array([0.0, 1.0, 2.0, np.nan])
    for bound, expected in (("min", [True, False, False, False]), ("max", [False, False, True, False])):
        wrong, missing = fails(Threshold(column="a", bound=bound, value=1.0), 1.0, values)
        assert wrong.tolist() == expected
        assert missing.tolist() == [False] * 3 + [True]
        kept = Threshold(column="a", bound=bound, value=1.0, nulls="keep")
        assert not fails(kept, 1.0, values)[1].any()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.8, 1.0]))
@settings(max_examples=60)
def test_a_quantile_keeps_its_share(numbers: list[int], share: float) -> None:
    values = np.array([*numbers, np.nan, 1e9])
    candidates = np.array([True] * (len(numbers) + 1) + [False])
    for bound in ("min", "max"):
        threshold = Threshold(column="a", bound=bound, kind="quantile", value=share)
        made = resolved(stage(thresholds=(threshold,)), {"a": values}, candidates).thresholds[0]
        assert made.kind == "constant"
        assert made.value in numbers
        kept = sum(one >= made.value if bound == "min" else one <= made.value for one in numbers)
        above = sum(one > made.value if bound == "min" else one < made.value for one in numbers)
        wanted = len(numbers) * (1 - share if bound == "min" else share)
        # As near as whole clips and ties allow.
        assert above <= wanted + 1
        assert kept >= wanted - 1


def draw(count: int, seed: int = 0, **changes: object) -> tuple[Views, np.ndarray]:
    manifest = simulated(count, images=0.1)
    one = stage(short_side=480, max_seconds=6.0, fps=(8.0, 16.0), tokens=31344, max_tokens=20896, **changes)
    rows = np.arange(count)
    may = allowed(manifest, rows, one, PRESETS["cogvideox-2b"])
    made = views(manifest, rows, np.zeros(count, np.int64), one, may, seed=seed, text_dropout=0.1)
    return made, manifest.frames_N == 1


def test_views_lie_within_their_clips() -> None:
    manifest = simulated(5000, images=0.1)
    made, image = draw(5000)
    shown = made.frames_N > 0
    assert shown.mean() > 0.95
    assert (made.frames_N[shown] % 4 == 1).all()
    assert (made.frames_N[shown & ~image] >= 9).all()
    assert (made.frames_N[image] == 1).all()
    end = made.start_s_N + (made.frames_N - 1) / made.fps_N
    assert (end[shown] < manifest.duration_s_N[shown]).all()
    assert ((made.frames_N - 1) / made.fps_N <= 6.0).all()
    tokens = 226 + ((made.frames_N - 1) // 4 + 1) * made.rows_N * made.columns_N
    assert tokens.max() <= 20896
    plain = shown & (made.rows_N * made.columns_N <= 30 * 54)
    assert (np.minimum(made.rows_N, made.columns_N)[plain] == 30).all()
    aspect = (made.rows_N / made.columns_N) / (manifest.height_N / manifest.width_N)
    assert np.abs(aspect - 1).max() < 0.03
    # Half of the rates, starts all over, a tenth without a caption, the others of two
    video = shown & ~image
    assert abs((made.fps_N[video] == 16).mean() - 0.5) < 0.06
    counts = Counter(made.captions_N.tolist())
    assert abs(counts[-1] / 5000 - 0.1) < 0.015
    assert abs(counts[0] / counts[1] - 1) < 0.1
    long = video & (manifest.duration_s_N > 20)
    where = made.start_s_N[long] / (
        manifest.duration_s_N[long] - (made.frames_N[long] - 1) / made.fps_N[long]
    )
    assert abs(where.mean() - 0.5) < 0.05


def test_views_depend_on_seed_clip_and_visit_alone() -> None:
    manifest = simulated(300)
    one = stage(fps=(8.0, 16.0), short_side=64)
    config = PRESETS["tiny"]

    def starts(rows: np.ndarray, visit: int, seed: int) -> np.ndarray:
        may = allowed(manifest, rows, one, config)
        visits = np.full(len(rows), visit)
        return views(manifest, rows, visits, one, may, seed=seed, text_dropout=0.1).start_s_N

    rows = np.arange(300)
    base = starts(rows, 0, 0)
    assert np.array_equal(base[100:200], starts(rows[100:200], 0, 0))
    assert (base != starts(rows, 1, 0)).mean() > 0.8
    assert (base != starts(rows, 0, 1)).mean() > 0.8


def test_exact_durations_show_all_their_frames() -> None:
    manifest = simulated(4)
    manifest.duration_s_N[:] = [2.125, 2.0, 17 / 30 * 4, 0.9]
    manifest.fps_N[:] = [8.0, 7.95, 29.97, 24.0]
    manifest.frames_N[:] = [17, 16, 68, 21]
    one = stage(max_seconds=10.0)
    may = allowed(manifest, np.arange(4), one, PRESETS["tiny"])
    assert may.frames_NK[:, 0].tolist() == [17, 13, 17, 0]
    assert may.short_N.tolist() == [False, False, False, True]


@pytest.mark.parametrize("name", ["cogvideox-2b", "cogvideox-1.5-5b"])
def test_frames_and_patches_agree_with_the_model(name: str) -> None:
    config = PRESETS[name]
    for frames in range(1, 200, 4):
        patches = patch_frames(frames, config)
        assert frames_of(patches, config) >= frames > frames_of(patches - 1, config)
    assert patch_frames(49, config) == (13 if name == "cogvideox-2b" else 7)


@given(st.data())
@settings(max_examples=80)
def test_packs_hold_what_they_may(data: st.DataObject) -> None:
    budget = data.draw(st.integers(120, 600))
    text, count = 16, data.draw(st.integers(1, 250))
    area = np.array(data.draw(st.lists(st.integers(4, 40), min_size=count, max_size=count)))
    most = (budget - text) // area
    patches = np.minimum(most, data.draw(st.integers(1, 13)))
    least = np.minimum(patches, 3)
    tokens = text + area * patches
    packs = max(1, int(tokens.sum() // (2 * budget)))
    filled = fill_packs(Window(area, patches, least, text), packs, budget)
    assert len(filled) == packs
    places = [placed.place for pack in filled for placed in pack]
    assert len(places) == len(set(places))
    for pack in filled:
        assert sum(text + int(area[placed.place]) * placed.patches for placed in pack) <= budget
        assert all(least[placed.place] <= placed.patches <= patches[placed.place] for placed in pack)
        assert pack[0].patches == patches[pack[0].place]
    # The clip that waits longest begins the first pack, and none is left behind a later beginning.
    firsts = [pack[0].place for pack in filled]
    assert firsts == sorted(firsts)
    assert set(range(firsts[-1])) <= set(places)


def _chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())
