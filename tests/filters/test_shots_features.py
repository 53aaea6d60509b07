"""The measurements behind the shot detector, on frames whose answers are known."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from curate.frames import SmallFrame
from filters.shots import gradual, hard
from filters.shots.compare import detail, level, light, warp
from filters.shots.hard import Gap, stands_out
from filters.shots.planes import TinyFrame, luma_distance, shrink, tiny_distance
from filters.shots.trees import Forest, Judge, load_judge


def texture(seed: int, shift: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (200, 400))
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)
    picture = np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return picture[:180, shift : shift + 320]


def tiny(luma: np.ndarray, index: int = 0) -> TinyFrame:
    gray = np.full((90, 160), 128, np.uint8)
    return shrink([SmallFrame(index, index / 25, luma, gray, gray)], None)[0]


def test_planes_are_small_and_distances_are_gray_levels() -> None:
    a, b = tiny(np.full((180, 320), 100, np.uint8)), tiny(np.full((180, 320), 112, np.uint8))
    assert a.small_HW.shape == (45, 80)
    assert a.tiny_hw.shape == (22, 40)
    assert a.chroma_2hw.shape == (44, 40)
    assert luma_distance(a, b) == 12
    assert tiny_distance(a, b) == 12


def test_level_makes_ratios_differences() -> None:
    assert level(20) - level(10) == pytest.approx(np.log(2), abs=0.02)
    assert level(0.0) - level(0.01) == pytest.approx(0, abs=0.05)


def test_light_explains_gain_and_offset_but_not_another_picture() -> None:
    x = texture(1).astype(np.float32)
    correlation, left = light(x, 0.5 * x + 30)
    assert correlation == pytest.approx(1, abs=0.01)
    assert left == pytest.approx(0, abs=0.01)
    correlation, left = light(x, texture(2).astype(np.float32))
    assert abs(correlation) < 0.3
    assert left > 0.9


def test_detail_does_not_see_light() -> None:
    x = texture(3)
    dimmed = cv2.convertScaleAbs(x, alpha=0.6)
    assert np.abs(detail(x) - detail(dimmed)).mean() < 0.25 * np.abs(detail(x)).mean()


def test_warping_undoes_motion_and_cannot_undo_a_cut() -> None:
    moved = warp(tiny(texture(4)), tiny(texture(4, shift=8)))
    cut = warp(tiny(texture(4)), tiny(texture(5)))
    assert moved.mean < 0.25 * luma_distance(tiny(texture(4)), tiny(texture(4, shift=8)))
    assert moved.kept > 0.9
    assert cut.kept < 0.6
    assert moved.length == pytest.approx(1, abs=0.3)  # 8 px of 320 are 2 of 80: mean of x (2) and y (0)


@pytest.mark.parametrize(
    ("gaps", "at", "expected"),
    [
        ([0, 1, 1, 9, 1, 1], 3, True),
        ([0, 8, 9, 9, 8, 9], 3, False),
        ([0, 0, 0, 0.5, 0, 0], 3, False),
        ([0, 0, 3, 0, 3, 0, 3, 0], 4, False),
        ([0, 5], 1, True),
    ],
)
def test_only_jumps_that_stand_out_are_looked_at(gaps: list[float], at: int, expected: bool) -> None:
    assert stands_out(gaps, at) is expected


def features(before: list[np.ndarray], after: list[np.ndarray]) -> dict[str, float]:
    left, right = [tiny(x) for x in before], [tiny(x) for x in after]

    def gaps(frames: list[TinyFrame]) -> list[float]:
        return [luma_distance(a, b) for a, b in pairwise(frames)]

    gap = Gap(left[::-1], right, gaps(left)[::-1], gaps(right))
    *_, values = hard.closer(gap, hard.glance(gap))
    assert len(values) == len(hard.FEATURES)
    return dict(zip(hard.FEATURES, values.tolist(), strict=True))


def test_features_of_a_cut_and_of_a_flash() -> None:
    a, b = [texture(6, s) for s in range(0, 16, 2)], [texture(7, s) for s in range(0, 16, 2)]
    cut = features(a, b)
    assert cut["near_less"] > 1
    assert cut["cross_least"] > -0.3
    assert cut["back"] > -0.3
    bright = cv2.convertScaleAbs(a[-1], alpha=1.0, beta=70)
    flash = features(a[:-1], [bright, *a[:6]])
    assert flash["back"] < -0.5
    assert flash["detail_kept"] > 0.8
    assert cut["detail_kept"] < 0.5
    assert flash["histogram_centred"] < 0.3 * flash["histogram"]


def test_features_know_no_direction_of_time() -> None:
    a, b = [texture(6, 2 * s) for s in range(8)], [texture(7, 3 * s) for s in range(8)]
    forth, back = features(a, b), features(b[::-1], a[::-1])
    one_way = {name for name in hard.FEATURES if name.startswith(("warped", "flow", "rough"))}
    for name in set(hard.FEATURES) - one_way:
        assert forth[name] == pytest.approx(back[name], abs=0.05), name


@pytest.mark.parametrize(
    ("net", "path", "peak", "expected"),
    [(20, 20, 2, 20 * 20 / 20.5), (20, 60, 5, 0), (20, 21, 19, 0), (4, 4, 1, 0)],
)
def test_straightness(net: float, path: float, peak: float, expected: float) -> None:
    assert gradual.straightness(net, path, peak) == pytest.approx(expected)


def test_half_windows_follow_the_frame_rate_and_stay_bounded() -> None:
    assert gradual.half_frames(30, 52) == (4, 8, 15, 27)
    assert gradual.half_frames(1, 52) == (3,)
    assert max(gradual.half_frames(1000, 52)) == 52


def test_a_ramp_of_mixtures_is_found_where_it_is() -> None:
    a, b = texture(8), texture(9)
    shares = [0.0] * 10 + [(i + 1) / 13 for i in range(12)] + [1.0] * 10
    frames = [tiny(cv2.addWeighted(a, 1 - s, b, s, 0), i) for i, s in enumerate(shares)]
    gaps = [tiny_distance(x, y) for x, y in pairwise(frames)]
    span = gradual.Span(frames, gaps, 8, 23, 25.0)
    found = gradual.ramp(span)
    np.testing.assert_allclose(found.share_T, shares, atol=0.03)
    assert found.error_T.max() < 0.05
    assert found.end_frame == pytest.approx(10, abs=1)
    assert found.start_frame == pytest.approx(22, abs=1)
    *_, values = gradual.closer(span, gradual.glance(span, found))
    named = dict(zip(gradual.FEATURES, values.tolist(), strict=True))
    assert len(values) == len(gradual.FEATURES)
    assert named["straight"] > 0.9
    assert named["contrast_dip"] < -0.1
    assert named["step_warped_share"] > -1


def test_trees_are_walked() -> None:
    forest = Forest(
        0.0,
        np.array([[0, 1, 1]], np.int16),
        np.array([[0.5, 0.5, np.inf]], np.float32),
        np.array([[-2.0, -1.0, 1.0, 5.0]], np.float32),
    )

    def score(*x: float) -> float:
        p = forest.probability(np.array(x, np.float32))
        return float(np.log(p / (1 - p)))

    assert [score(0, 0), score(0, 1), score(1, 1e9)] == pytest.approx([-2, -1, 1])


def test_no_value_of_an_unknown_feature_gives_more_than_the_most() -> None:
    rng = np.random.default_rng(3)
    forest = Forest(
        -0.5,
        rng.integers(0, 6, (50, 7)).astype(np.int16),
        rng.normal(0, 1, (50, 7)).astype(np.float32),
        rng.normal(0, 0.3, (50, 8)).astype(np.float32),
    )
    for _ in range(20):
        features = rng.normal(0, 1, 6).astype(np.float32)
        assert forest.most(features) == forest.probability(features)
        partly = features.copy()
        partly[3:] = np.nan
        for _ in range(20):
            features[3:] = rng.normal(0, 2, 3)
            assert forest.probability(features) <= forest.most(partly)


def test_a_judge_looks_closer_only_while_it_may_yet_be_convinced() -> None:
    forest = Forest(
        0.0,
        np.array([[0, 1, 1]], np.int16),
        np.array([[0.5, 0.5, 0.5]], np.float32),
        np.array([[-2.0, -1.0, 1.0, 5.0]], np.float32),
    )
    stages = [np.array(stage, np.float32) for stage in ([np.nan, 0], [0, 0], [0, 0])]
    rest = iter(stages)
    assert Judge(forest, 0.1, forest).look(rest, 0.5) == pytest.approx(1 / (1 + np.exp(2)))
    assert len(list(rest)) == 1


def test_packaged_weights_fit_the_features() -> None:
    for name, module in (("hard", hard), ("gradual", gradual)):
        judge = load_judge(name)  # type: ignore[arg-type]
        assert judge.glance.feature_TN.max() < len(module.GLANCE)
        assert judge.whole.feature_TN.max() < len(module.FEATURES)
        assert 0 < judge.floor < 0.5
        assert module.FEATURES[: len(module.GLANCE)] == module.GLANCE
